import { describe, expect, it } from 'vitest';
import { findEngine } from '../../../src/engines/find-engine.ts';
import { SGLANG_FIELDS } from '../../../src/engines/sglang/kv-transfer-fields.ts';
import { TRTLLM_FIELDS } from '../../../src/engines/trtllm/kv-transfer-fields.ts';
import { VLLM_FIELDS } from '../../../src/engines/vllm/kv-transfer-fields.ts';
import { editLeg, type FieldTable, splitObstacleIn } from '../../../src/openai/leg-fields.ts';

const TABLES: readonly [engine: 'vllm' | 'sglang' | 'trtllm', table: FieldTable][] = [
  ['vllm', VLLM_FIELDS],
  ['sglang', SGLANG_FIELDS],
  ['trtllm', TRTLLM_FIELDS],
];

describe.each(TABLES)('the table of request fields of %s', (engine, table) => {
  it('has a row for every field that the legs could see differently', () => {
    const fields = table.map(({ field }) => field);
    expect(new Set(fields).size).toBe(fields.length);
    expect(fields).toEqual(
      expect.arrayContaining([
        ...['stream', 'stream_options', 'max_tokens', 'max_completion_tokens', 'min_tokens', 'stop', 'n', 'best_of'],
        ...['logprobs', 'top_logprobs', 'prompt_logprobs', 'echo', 'tools', 'tool_choice', 'response_format', 'prompt'],
      ]),
    );
  });

  it('says of several answers what the engine says', () => {
    const isSplit = splitObstacleIn(table, { n: 2 }) === undefined;
    expect(findEngine(engine).capabilities.splitsSeveralAnswers).toBe(isSplit);
  });

  it('is what becomes of the bytes', () => {
    const body = Object.fromEntries(table.map(({ field }) => [field, `sent ${field}`]));
    for (const leg of ['prefill', 'decode'] as const) {
      const edited = JSON.parse(editLeg(table, leg, Buffer.from(JSON.stringify(body)), []).toString());
      for (const { field, [leg]: edit } of table) {
        if (edit === 'keep') expect(edited[field], `${field} of ${leg}`).toBe(`sent ${field}`);
        else if (typeof edit === 'string') expect(edited, `${field} of ${leg}`).not.toHaveProperty([field]);
        else expect(edited[field]).toEqual(JSON.parse('set' in edit ? edit.set : edit.setIfSent));
      }
    }
  });

  it('leaves the decode leg its answer: nothing is cut but what is handed over', () => {
    for (const { field, decode } of table) expect(['keep', 'fill'], field).toContain(decode);
  });
});

it('SGLang gets the same body on both sides', () => {
  for (const { field, prefill, decode } of SGLANG_FIELDS) expect(decode, field).toEqual(prefill);
});
