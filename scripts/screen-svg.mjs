// Draws what a terminal showed as an animated SVG: text with the eight colours, bold, dim and inverse that our screens use. Pure.

const CELL = { width: 8.4, height: 17 };
const PAD = 12;
const COLORS = {
  background: '#0d1117',
  text: '#e6edf3',
  30: '#484f58',
  31: '#ff7b72',
  32: '#3fb950',
  33: '#d29922',
  34: '#58a6ff',
  35: '#bc8cff',
  36: '#39c5cf',
  37: '#b1bac4',
};

/** One line with escape sequences of colours → runs of equal looks: `{ text, color, bold, dim, inverse }`. */
export function readLine(line) {
  const runs = [];
  let look = {};
  let at = 0;
  const add = (text) => {
    if (text !== '') runs.push({ text, ...look });
  };
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what is read
  for (const match of line.matchAll(/\u001b\[([\d;]*)m/g)) {
    add(line.slice(at, match.index));
    at = match.index + match[0].length;
    for (const code of (match[1] || '0').split(';').map(Number)) look = apply(look, code);
  }
  add(line.slice(at));
  return runs;
}

function apply(look, code) {
  if (code === 0) return {};
  if (code === 1) return { ...look, bold: true };
  if (code === 2) return { ...look, dim: true };
  if (code === 22) return { ...look, bold: false, dim: false };
  if (code === 7) return { ...look, inverse: true };
  if (code === 27) return { ...look, inverse: false };
  if (code === 39) return { ...look, color: undefined };
  if (code >= 30 && code <= 37) return { ...look, color: code };
  if (code >= 90 && code <= 97) return { ...look, color: code - 60 };
  return look;
}

const escapeXml = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
const round = (value) => Number(value.toFixed(1));

/** Words apart get places of their own, so that columns stay straight in any font; textLength does the same within a word. */
function words(text, x, y, looks) {
  return [...text.matchAll(/\S+(?: \S+)*/g)]
    .map(({ 0: word, index }) => {
      const from = round(x + [...text.slice(0, index)].length * CELL.width);
      const width = round([...word].length * CELL.width);
      return `<text x="${from}" y="${y}" textLength="${width}" ${looks}>${escapeXml(word)}</text>`;
    })
    .join('');
}

function drawLine(line, row) {
  const y = PAD + (row + 1) * CELL.height - 4;
  let column = 0;
  return readLine(line)
    .map((run) => {
      const length = [...run.text].length;
      const x = round(PAD + column * CELL.width);
      const width = round(length * CELL.width);
      column += length;
      if (run.text.trim() === '' && !run.inverse) return '';
      const color = COLORS[run.color] ?? COLORS.text;
      const fill = run.inverse ? COLORS.background : color;
      const box = run.inverse
        ? `<rect x="${x}" y="${round(y - CELL.height + 4)}" width="${width}" height="${CELL.height}" fill="${color}"/>`
        : '';
      const looks = `${run.bold ? ' font-weight="bold"' : ''}${run.dim ? ' opacity="0.6"' : ''}`;
      return box + words(run.text, x, y, `fill="${fill}"${looks}`);
    })
    .join('');
}

/**
 * `frames`: `{ ms, lines }`, how long each is shown and its lines. `still`: index of the one that is shown where nothing moves.
 * Returns the text of the file.
 */
export function drawSvg(frames, { columns, rows, still, title }) {
  const width = Math.ceil(columns * CELL.width + 2 * PAD);
  const height = rows * CELL.height + 2 * PAD;
  const total = frames.reduce((sum, frame) => sum + frame.ms, 0);
  let from = 0;
  const styles = [];
  const groups = frames.map((frame, index) => {
    const begin = (from / total) * 100;
    from += frame.ms;
    const end = (from / total) * 100;
    const percent = (value) => `${Number(value.toFixed(2))}%`;
    styles.push(
      `@keyframes f${index}{0%{visibility:${index === 0 ? 'visible' : 'hidden'}}${percent(begin)}{visibility:visible}${percent(end)}{visibility:hidden}100%{visibility:hidden}}` +
        `#f${index}{animation:f${index} ${total}ms step-end infinite}`,
    );
    const drawn = frame.lines.map((line, row) => drawLine(line, row)).join('');
    return `<g id="f${index}" visibility="${index === still ? 'visible' : 'hidden'}">${drawn}</g>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escapeXml(title)}">`,
    `<title>${escapeXml(title)}</title>`,
    `<style>@media not (prefers-reduced-motion){${styles.join('')}}</style>`,
    `<rect width="100%" height="100%" rx="6" fill="${COLORS.background}"/>`,
    `<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace" font-size="14">`,
    ...groups,
    '</g>',
    '</svg>',
    '',
  ].join('\n');
}
