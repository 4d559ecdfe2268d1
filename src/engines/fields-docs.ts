import type { FieldRule, FieldTable, LegEdit } from '../openai/leg-fields.ts';
import { SGLANG_FIELDS } from './sglang/kv-transfer-fields.ts';
import { TRTLLM_FIELDS } from './trtllm/kv-transfer-fields.ts';
import { VLLM_FIELDS } from './vllm/kv-transfer-fields.ts';

const BEGIN =
  '<!-- Generated from src/engines/*/kv-transfer-fields.ts by `npm run docs`. Do not edit up to the next such line. -->\n';
const END = '<!-- End of what is generated. -->';

const TABLES: readonly [engine: string, table: FieldTable][] = [
  ['vLLM', VLLM_FIELDS],
  ['SGLang', SGLANG_FIELDS],
  ['TensorRT-LLM', TRTLLM_FIELDS],
];

/** A table a dialect: what becomes of each request field in each leg. */
function fieldTables(): string {
  const tables = TABLES.map(([engine, table]) =>
    [
      `### ${engine}\n`,
      '| Field | Prefill leg | Decode leg | Not split | Why |',
      '|---|---|---|---|---|',
      ...table.map(row),
    ].join('\n'),
  );
  return tables.join('\n\n');
}

function row({ field, prefill, decode, unsplittable, why }: FieldRule): string {
  return `| \`${field}\` | ${edit(prefill)} | ${edit(decode)} | ${unsplittable ? `\`${unsplittable.as}\`` : ''} | ${why} |`;
}

function edit(leg: LegEdit): string {
  if (leg === 'keep') return 'as sent';
  if (leg === 'drop') return 'left out';
  if (leg === 'fill') return 'set by dynamo';
  return 'set' in leg ? `\`${leg.set}\`` : `\`${leg.setIfSent}\` where it was sent`;
}

/** docs/engines.md with its tables of request fields as the dialects have them; the text around them is written by hand. */
export function enginesDocs(page: string): string {
  const from = page.indexOf(BEGIN);
  const to = page.indexOf(END);
  if (from < 0 || to < from) throw new Error('docs/engines.md has lost the lines around its generated tables');
  return `${page.slice(0, from + BEGIN.length)}\n${fieldTables()}\n\n${page.slice(to)}`;
}
