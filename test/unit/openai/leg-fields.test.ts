import { describe, expect, it } from 'vitest';
import { SGLANG_FIELDS } from '../../../src/engines/sglang/kv-transfer-fields.ts';
import { TRTLLM_FIELDS } from '../../../src/engines/trtllm/kv-transfer-fields.ts';
import { VLLM_FIELDS } from '../../../src/engines/vllm/kv-transfer-fields.ts';
import { editLeg, type FieldTable, splitObstacleIn } from '../../../src/openai/leg-fields.ts';

const TABLES: [string, FieldTable][] = [
  ['vllm', VLLM_FIELDS],
  ['sglang', SGLANG_FIELDS],
  ['trtllm', TRTLLM_FIELDS],
];
const parse = (body: Buffer) => JSON.parse(body.toString()) as Record<string, unknown>;
const rows = TABLES.flatMap(([name, table]) =>
  table.flatMap((rule) => (['prefill', 'decode'] as const).map((leg) => ({ name, table, rule, leg }))),
);

describe('every row of every table', () => {
  it.each(rows.map((row) => [row.name, row.leg, row.rule.field, row] as const))(
    '%s, %s leg: %s',
    (_n, leg, field, row) => {
      const edit = row.rule[leg];
      const sent = parse(editLeg(row.table, leg, Buffer.from(JSON.stringify({ a: 1, [field]: 'sent' })), []));
      const absent = parse(editLeg(row.table, leg, Buffer.from('{"a":1}'), []));
      expect(sent['a']).toBe(1);
      if (edit === 'keep') expect([sent[field], absent[field]]).toEqual(['sent', undefined]);
      else if (typeof edit === 'string') expect([sent[field], absent[field]]).toEqual([undefined, undefined]);
      else if ('set' in edit) expect([sent[field], absent[field]]).toEqual(Array(2).fill(JSON.parse(edit.set)));
      else expect([sent[field], absent[field]]).toEqual([JSON.parse(edit.setIfSent), undefined]);
      expect(row.rule.why).not.toBe('');
    },
  );

  it.each(TABLES)('%s lists no field twice and leaves what it does not list as it came', (_, table) => {
    const fields = table.map(({ field }) => field);
    expect(new Set(fields).size).toBe(fields.length);
    const body = Buffer.from('{"x": 12345678901234567890 , "y":"\\u00e9"}');
    expect(editLeg(table, 'decode', body, []).toString()).toBe(body.toString());
  });
});

/** What a request becomes: the decode leg's limits, and why it may not be split. */
const REQUESTS: [string, Record<string, unknown>, Record<string, string | undefined>][] = [
  ['max_tokens absent', {}, {}],
  ['max_tokens', { max_tokens: 5 }, {}],
  ['max_completion_tokens', { max_completion_tokens: 5 }, {}],
  ['no tokens at all', { max_tokens: 0 }, { vllm: 'max_tokens', sglang: 'max_tokens', trtllm: 'max_tokens' }],
  ['min_tokens', { min_tokens: 3 }, {}],
  ['stop', { stop: ['a', 'b'] }, {}],
  ['logprobs', { logprobs: true, top_logprobs: 3 }, {}],
  ['tools', { tools: [{ type: 'function', function: { name: 'f' } }], tool_choice: 'auto' }, {}],
  ['response_format', { response_format: { type: 'json_object' } }, {}],
  ['token ids', { prompt: [1, 2, 3] }, {}],
  ['one prompt in a list', { prompt: ['a'] }, { trtllm: 'prompt_list' }],
  ['several prompts', { prompt: ['a', 'b'] }, { vllm: 'prompt_list', trtllm: 'prompt_list' }],
  ['several token lists', { prompt: [[1], [2]] }, { vllm: 'prompt_list', trtllm: 'prompt_list' }],
  ['n of 1', { n: 1 }, {}],
  ['n', { n: 2 }, { vllm: 'n', sglang: 'n', trtllm: 'n' }],
  ['best_of', { best_of: 2 }, { vllm: 'best_of', sglang: 'best_of', trtllm: 'best_of' }],
  ['beam search', { use_beam_search: true }, { vllm: 'use_beam_search', trtllm: 'use_beam_search' }],
  ['echo', { echo: true }, {}],
  [
    'echo with logprobs',
    { echo: true, logprobs: 1 },
    { vllm: 'echo_logprobs', sglang: 'echo_logprobs', trtllm: 'echo_logprobs' },
  ],
  [
    'prompt_logprobs',
    { prompt_logprobs: 1 },
    { vllm: 'prompt_logprobs', sglang: 'prompt_logprobs', trtllm: 'prompt_logprobs' },
  ],
  ['prompt embeddings', { prompt_embeds: 'AAAA' }, {}],
  ['stream_options', { stream: true, stream_options: { include_usage: true } }, {}],
];

describe.each(TABLES)('%s', (name, table) => {
  it.each(REQUESTS)('%s', (_, request, obstacles) => {
    expect(splitObstacleIn(table, request)).toBe(obstacles[name]);
    // Leg 2 makes the client's answer: nothing it asked for may be missing there.
    expect(parse(editLeg(table, 'decode', Buffer.from(JSON.stringify(request)), []))).toEqual(request);
  });
});

describe('editLeg', () => {
  it('adds what is filled in, in place of what the client brought', () => {
    const body = Buffer.from('{"rid":"mine","a":1,"r\\u0069d":"again"}');
    expect(editLeg(SGLANG_FIELDS, 'prefill', body, [['rid', '"ours"']]).toString()).toBe('{"a":1,"rid":"ours"}');
  });

  it('refuses what is no object', () => {
    expect(() => editLeg(VLLM_FIELDS, 'decode', Buffer.from('[]'), [])).toThrow(TypeError);
  });
});
