import { describe, expect, it } from 'vitest';
import { forwardedHeaders, requestIdOf, workerPinsOf } from '../../../src/frontend/request-headers.ts';
import { withoutUntrustedFields } from '../../../src/frontend/untrusted-fields.ts';
import { readCompletionRequest } from '../../../src/openai/completion-request.ts';

describe('headers for workers', () => {
  it('takes a harmless request id and replaces any other', () => {
    expect(requestIdOf({ 'x-request-id': 'abc-1' })).toBe('abc-1');
    for (const bad of ['', 'a b', 'é', 'x'.repeat(200)])
      expect(requestIdOf({ 'x-request-id': bad })).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('forwards a fixed list only', () => {
    const headers = {
      authorization: 'Bearer k',
      cookie: 'c',
      'x-data-parallel-rank': '3',
      'x-dynamo-worker-instance-id': 'w',
      host: 'h',
    };
    expect(forwardedHeaders(headers, 'id', false)).toBe(
      'content-type: application/json\r\nx-request-id: id\r\nauthorization: Bearer k\r\n',
    );
    expect(forwardedHeaders(headers, 'id', true)).toContain('x-data-parallel-rank: 3');
    expect(workerPinsOf(headers)).toEqual({ worker: 'w', prefill: undefined });
  });
});

describe('withoutUntrustedFields', () => {
  const strip = (body: string) =>
    withoutUntrustedFields(readCompletionRequest('text', Buffer.from(body)), Buffer.from(body)).toString();

  it('keeps harmless bodies as the same bytes', () => {
    const body = ' {"model":"m","prompt":"kv_transfer_params bootstrap_room","vllm_xargs":{"a":1}}';
    expect(strip(body)).toBe(body);
  });

  it('removes every spelling of what a caller must not send', () => {
    expect(
      strip(
        '{"model":"m","kv_transfer_params":{},"prompt":"p","kv\\u005ftransfer_params":1,"bootstrap_host":"h","bootstrap_port":1,"bootstrap_room":2,"nvext":{},"vllm_xargs":{"kv_transfer_params":"x"}}',
      ),
    ).toBe('{"model":"m","prompt":"p"}');
    expect(strip('{"model":"m","ec_transfer_params":{},"prompt":"p","vllm_xargs":{"ec_transfer_params":"x"}}')).toBe(
      '{"model":"m","prompt":"p"}',
    );
  });
});
