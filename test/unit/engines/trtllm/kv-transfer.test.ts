import { describe, expect, it } from 'vitest';
import { TRTLLM_CONTEXT_FIRST } from '../../../../src/engines/trtllm/kv-transfer.ts';

const PARAMS =
  '"first_gen_tokens":[11],"ctx_request_id":9223372036854775807 ,"encoded_opaque_state":"aGk}{=","draft_tokens":null,"disagg_request_id":1152921504606846977,"ctx_dp_rank":0,"ctx_usage":null';
const USAGE = '{"prompt_tokens":3,"completion_tokens":1}';
const answer = (finish: string, params = `{"request_type":"context_only",${PARAMS}}`) =>
  Buffer.from(
    `{"id":"c","choices":[{"index":0,"message":{"content":"}{"},"finish_reason":${finish},"disaggregated_params":${params}}],"usage":${USAGE},"prompt_token_ids":[1, 2,3]}`,
  );
const read = (bytes: Buffer, kind: 'chat' | 'text' = 'chat') => TRTLLM_CONTEXT_FIRST.readPrefill(bytes, kind);

describe('leg 1', () => {
  it('asks for the context only, with an id of 64 bits, and keeps the limits', () => {
    const body = Buffer.from(
      '{"model":"m","max_tokens":9,"stream":true,"stream_options":{},"disaggregated_params":{"evil":1}}',
    );
    expect(TRTLLM_CONTEXT_FIRST.prefillBody(body, () => 9223372036854775807n).toString()).toBe(
      '{"model":"m","max_tokens":9,"stream":false,"disaggregated_params":{"request_type":"context_only","disagg_request_id":9223372036854775807}}',
    );
  });
});

describe('leg 2', () => {
  it('carries the state as bytes; only the request type and what this version wants of leg 1 are new', () => {
    const outcome = read(answer('"length"'));
    if (outcome.kind !== 'handed-over') throw new Error(outcome.kind);
    const leg = TRTLLM_CONTEXT_FIRST.decodeBody(
      Buffer.from('{"model":"m","messages":[],"stream":true}'),
      outcome.members,
    );
    const state = PARAMS.replace(',"ctx_usage":null', '');
    expect(leg.toString()).toBe(
      `{"model":"m","messages":[],"stream":true,"disaggregated_params":{${state},"request_type":"generation_only","ctx_usage":${USAGE}},"prompt_token_ids":[1, 2,3]}`,
    );
  });

  it('sets no member that this version’s parameters do not have', () => {
    const outcome = read(answer('"not_finished"', '{"request_type":"context_only","ctx_request_id":5}'));
    if (outcome.kind !== 'handed-over') throw new Error(outcome.kind);
    expect(outcome.members[0]![1].toString()).toBe('{"ctx_request_id":5,"request_type":"generation_only"}');
  });

  it('replaces the text of a completion by its ids', () => {
    const outcome = read(answer('"length"'), 'text');
    if (outcome.kind !== 'handed-over') throw new Error(outcome.kind);
    const leg = TRTLLM_CONTEXT_FIRST.decodeBody(Buffer.from('{"prompt":"abc","a":1}'), outcome.members).toString();
    expect(leg).toMatch(/^{"a":1,.*"prompt":\[1, 2,3\]}$/);
  });
});

describe('leg 1 that is all', () => {
  it('is the client’s answer, without the state', () => {
    const outcome = read(answer('"stop"'));
    if (outcome.kind !== 'complete') throw new Error(outcome.kind);
    expect(JSON.parse(outcome.answer.toString())).toEqual({
      id: 'c',
      choices: [{ index: 0, message: { content: '}{' }, finish_reason: 'stop' }],
      usage: JSON.parse(USAGE),
    });
  });
});

describe('leg 1 without state', () => {
  it.each([
    answer('"length"', 'null'),
    answer('null', '7'),
    Buffer.from('{"choices":[]}'),
    Buffer.from('{"choices":[7]}'),
    Buffer.from('{}'),
    Buffer.from(''),
    Buffer.from('{"choices":[{'),
  ])('hands over nothing: %s', (bytes) => {
    expect(read(bytes)).toEqual({ kind: 'nothing' });
  });
});
