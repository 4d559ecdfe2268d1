/** Whether text may hold more than ASCII: by the locale as the C library reads it, the first of these that is set decides. Pure. */
export function showsUtf8(env: NodeJS.ProcessEnv, platform: NodeJS.Platform): boolean {
  const locale = env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'] || '';
  return /utf-?8/i.test(locale) || platform === 'darwin';
}

const ASCII: Record<string, string> = {
  '→': '->',
  '←': '<-',
  '×': 'x',
  '…': '...',
  '·': '-',
  '─': '-',
  '│': '|',
  '┤': '|',
  '┼': '+',
  '└': '+',
  '›': '>',
  '≥': '>=',
  '≤': '<=',
  '±': '+-',
  '–': '-',
  '—': '-',
  '’': "'",
  '‘': "'",
  '“': '"',
  '”': '"',
  '█': '#',
};
const REPLACED = new RegExp(`[${Object.keys(ASCII).join('')}]`, 'g');

/** The same text with signs of ours that a terminal without UTF-8 would garble in ASCII. What users wrote stays as it is. Pure. */
export function inAscii(text: string): string {
  return text.replace(REPLACED, (sign) => ASCII[sign] ?? sign);
}
