import { styleText } from 'node:util';
import { formatBytes } from '../base/bytes.ts';
import type { KvPathMeasure, KvPathReport } from '../doctor/check-kv-path.ts';
import type { TokenReport } from '../doctor/check-tokens.ts';
import type { Finding } from '../doctor/finding.ts';

const SIGNS = {
  ok: ['ok   ', 'green'],
  note: ['-    ', 'gray'],
  warning: ['warn ', 'yellow'],
  problem: ['FAIL ', 'red'],
} as const;

/** One line a finding, and a line with what to do under those that need it. Coloured on a terminal. */
export function renderFindings(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ subject }) => subject.length));
  return findings
    .map(({ subject, status, detail, fix }) => {
      const [sign, color] = SIGNS[status];
      const line = `${paint(color, sign)} ${subject.padEnd(width)}  ${detail}\n`;
      return fix === null ? line : `${line}${' '.repeat(width + 8)}→ ${fix}\n`;
    })
    .join('');
}

/** A few lines a pair: whether it works, how fast, and by what. TCP where something faster was to be expected is red. */
export function renderKvPath(report: KvPathReport): string {
  const { prefill, decode, first, best, transport } = report;
  const lines = [
    report.ok
      ? `${paint('green', 'ok   ')} ${prefill} → ${decode}  (${report.dialect})`
      : `${paint('red', 'FAIL ')} ${prefill} → ${decode}  ${report.error}`,
    ...(report.hint === null ? [] : [`→ ${report.hint}`]),
    ...(first === null ? [] : [`first contact  ${describe(first)}`]),
    ...(best === null ? [] : [`afterwards     ${describe(best)}`]),
    ...((best ?? first)?.facts.map((fact) => `seen           ${fact}`) ?? []),
    `transport      ${transport.status === 'slow' ? paint('red', transport.message) : transport.message}`,
    ...(transport.fix === null ? [] : [`→ ${transport.fix}`]),
  ];
  return lines.map((line, index) => `${index === 0 ? '' : '      '}${line}\n`).join('');
}

function describe({ tookMs, bytes, transferMs, bytesPerSecond, promptTokens }: KvPathMeasure): string {
  const moved = bytes === null ? 'bytes not told' : formatBytes(bytes);
  const took = transferMs === null ? '' : ` in ${transferMs < 10 ? transferMs.toFixed(2) : Math.round(transferMs)} ms`;
  const rate = bytesPerSecond === null ? '' : ` = ${formatBytes(bytesPerSecond)}/s`;
  return `${promptTokens} tokens, ${moved}${took}${rate}; both legs ${Math.round(tookMs)} ms`;
}

/** One line a prompt; where sides disagree, a line a side. */
export function renderTokens({ cases, notes }: TokenReport): string {
  const lines = cases.flatMap(({ model, name, agree, sides, detail }) => {
    const [sign, color] = SIGNS[agree === null ? 'note' : agree ? 'ok' : 'problem'];
    const head = `${paint(color, sign)} ${model}: ${name}  ${detail}`;
    if (agree !== false) return [head];
    return [
      head,
      ...sides.map(({ who, promptTokens, error }) => `        ${who}: ${error ?? `${promptTokens} tokens`}`),
    ];
  });
  return [...lines, ...notes.map((text) => `${paint('gray', '-    ')} ${text}`), ''].join('\n');
}

/** Colour only where standard output shows it. */
const paint = (color: 'green' | 'gray' | 'yellow' | 'red', text: string): string =>
  styleText(color, text, { stream: process.stdout });
