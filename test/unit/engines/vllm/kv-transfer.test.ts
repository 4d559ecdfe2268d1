import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeLegBody,
  kvTransferParamsOf,
  leaseAllowsDecode,
  prefillLegBody,
} from '../../../../src/engines/vllm/kv-transfer.ts';
import { VLLM_FIELDS } from '../../../../src/engines/vllm/kv-transfer-fields.ts';
import { splitObstacleIn } from '../../../../src/openai/leg-fields.ts';

const PARAMS =
  '{"do_remote_prefill": true,"do_remote_decode":false,"remote_block_ids":[[1,2],[18446744073709551615]],"remote_engine_id":"e\\"}","remote_request_id":"cmpl-x-0-1","unknown":{"z":1,"a":2},"f":1.0}';
const extra = fc.dictionary(
  fc.string().filter((key) => key !== '__proto__'),
  fc.jsonValue({ maxDepth: 3 }),
);

describe('prefillLegBody', () => {
  it('asks for one token, not streamed, with blocks kept', () => {
    const body = Buffer.from(
      '{"model":"m","messages":[{"role":"user","content":"\\"max_tokens\\":9 }"}],"stream":true,"stream_options":{"include_usage":true},"max_tokens":50,"min_tokens":5,"seed":12345678901234567890}',
    );
    const leg = prefillLegBody(body).toString();
    expect(JSON.parse(leg)).toMatchObject({
      stream: false,
      max_tokens: 1,
      kv_transfer_params: {
        do_remote_decode: true,
        do_remote_prefill: false,
        remote_engine_id: null,
        remote_port: null,
      },
    });
    for (const gone of ['stream_options', 'min_tokens', 'max_completion_tokens'])
      expect(JSON.parse(leg)).not.toHaveProperty(gone);
    expect(leg).toContain('"seed":12345678901234567890');
    expect(leg).toContain('"content":"\\"max_tokens\\":9 }"');
  });

  it('limits max_completion_tokens too when the client used it, and replaces every duplicate', () => {
    const leg = JSON.parse(
      prefillLegBody(Buffer.from('{"max_completion_tokens":8,"max_tokens":3,"max\\u005ftokens":4}')).toString(),
    );
    expect(leg).toMatchObject({ max_tokens: 1, max_completion_tokens: 1 });
    expect(JSON.parse(prefillLegBody(Buffer.from('{"model":"m"}')).toString()).max_tokens).toBe(1);
  });

  it('keeps everything else of any body', () => {
    fc.assert(
      fc.property(extra, (fields) => {
        const leg = JSON.parse(prefillLegBody(Buffer.from(JSON.stringify(fields))).toString());
        const changed = [
          'stream',
          'stream_options',
          'max_tokens',
          'max_completion_tokens',
          'min_tokens',
          'min_completion_tokens',
          'kv_transfer_params',
        ];
        const rest = (object: object) => Object.entries(object).filter(([key]) => !changed.includes(key));
        expect(rest(leg)).toEqual(rest(JSON.parse(JSON.stringify(fields))));
      }),
    );
  });

  it('refuses what is no object', () => {
    expect(() => prefillLegBody(Buffer.from('[1]'))).toThrow(TypeError);
  });
});

describe('kvTransferParamsOf and decodeLegBody', () => {
  it('carry the bytes from answer to request unchanged', () => {
    fc.assert(
      fc.property(extra, extra, (answerFields, bodyFields) => {
        const answer = JSON.stringify({ ...answerFields, choices: [{ message: '"kv_transfer_params":{"no":1}' }] });
        const answerBody = Buffer.from(`${answer.slice(0, -1)},"kv_transfer_params": ${PARAMS} }`);
        const params = kvTransferParamsOf(answerBody)!;
        expect(params.toString()).toBe(PARAMS);
        const original = JSON.stringify(bodyFields);
        const leg = decodeLegBody(Buffer.from(original), params).toString();
        expect(leg).toContain(`"kv_transfer_params":${PARAMS}`);
        if (!('kv_transfer_params' in bodyFields)) expect(leg.startsWith(original.slice(0, -1))).toBe(true);
        expect(JSON.parse(leg)).toEqual({ ...JSON.parse(original), kv_transfer_params: JSON.parse(PARAMS) });
      }),
    );
  });

  it('take the top-level member only, and none for null, absent or broken', () => {
    expect(kvTransferParamsOf(Buffer.from('{"choices":[{"kv_transfer_params":{"a":1}}]}'))).toBeUndefined();
    expect(kvTransferParamsOf(Buffer.from('{"kv_transfer_params":null}'))).toBeUndefined();
    expect(kvTransferParamsOf(Buffer.from('{"kv_transfer_params":{"a":1}'))).toBeUndefined();
    expect(kvTransferParamsOf(Buffer.from(''))).toBeUndefined();
  });

  it('replace parameters that the client brought', () => {
    const leg = decodeLegBody(
      Buffer.from('{"kv_transfer_params":{"evil":1},"kv\\u005ftransfer_params":{"evil":2},"a":1}'),
      Buffer.from('{"good":1}'),
    );
    expect(leg.toString()).toBe('{"a":1,"kv_transfer_params":{"good":1}}');
  });
});

describe('what cannot be split', () => {
  it.each([
    [{ n: 2 }, 'n'],
    [{ n: '3' }, 'n'],
    [{ best_of: 4 }, 'best_of'],
    [{ use_beam_search: true }, 'use_beam_search'],
    [{ prompt: ['a', 'b'] }, 'prompt_list'],
    [{ prompt: [[1], [2]] }, 'prompt_list'],
    [{ prompt: ['a'] }, undefined],
    [{ prompt: [[1, 2]] }, undefined],
    [{ prompt_logprobs: 0 }, 'prompt_logprobs'],
    [{ echo: true, logprobs: 1 }, 'echo_logprobs'],
    [{ max_tokens: 0 }, 'max_tokens'],
    [{ n: 1, best_of: null, prompt: [1, 2], echo: true, logprobs: null, max_tokens: 1 }, undefined],
    [{ messages: [], logprobs: true, n: null }, undefined],
  ])('says of %j: %s', (request, obstacle) => {
    expect(splitObstacleIn(VLLM_FIELDS, request)).toBe(obstacle);
  });
});

describe('leaseAllowsDecode', () => {
  it('wants a third of the lease left', () => {
    expect(leaseAllowsDecode(20_000, 30_000)).toBe(true);
    expect(leaseAllowsDecode(20_001, 30_000)).toBe(false);
  });
});
