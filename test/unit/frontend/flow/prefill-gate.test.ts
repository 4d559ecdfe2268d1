import { describe, expect, it } from 'vitest';
import { mayBeTooLong, PrefillGate } from '../../../../src/frontend/flow/prefill-gate.ts';
import type { PreparedRequest } from '../../../../src/frontend/flow/prepared-request.ts';
import type { KnownInstance } from '../../../../src/frontend/instances/instance-table.ts';
import { makeInstance } from '../../../helpers/instance.ts';

const request = (clientBytes: number, fields: Record<string, unknown> = {}) =>
  ({ clientBytes, request: { fields } }) as unknown as PreparedRequest;
const worker = (fields: Parameters<typeof makeInstance>[2]) =>
  ({ record: makeInstance('prefill-0', 1, fields) }) as KnownInstance;

describe('a prompt that may be too long', () => {
  it('has more bytes than one of the workers has room for tokens', () => {
    const context = worker({ maxModelLen: 1_000, kvTotalBlocks: 100, kvBlockSize: 64 });
    const cache = worker({ maxModelLen: 1_000, kvTotalBlocks: 10, kvBlockSize: 64 });
    expect(mayBeTooLong(request(1_000), [context])).toBe(false);
    expect(mayBeTooLong(request(1_001), [context])).toBe(true);
    expect(mayBeTooLong(request(641), [context, cache])).toBe(true);
    expect(mayBeTooLong(request(640), [context, cache])).toBe(false);
  });

  it('is any, where a worker tells nothing of its room', () => {
    const silent = worker({ maxModelLen: null, kvTotalBlocks: null, kvBlockSize: 64 });
    expect(mayBeTooLong(request(1), [silent])).toBe(true);
    expect(mayBeTooLong(request(1), [worker({ maxModelLen: 10, kvTotalBlocks: null })])).toBe(false);
  });

  it('is one with images, which are more tokens than bytes', () => {
    const chat = (content: unknown) => request(10, { messages: [{ role: 'user', content }] });
    expect(mayBeTooLong(chat([{ type: 'image_url', image_url: { url: 'x' } }]), [worker({})])).toBe(true);
    expect(mayBeTooLong(chat([{ type: 'text', text: 'x' }]), [worker({})])).toBe(false);
    expect(mayBeTooLong(chat('x'), [worker({})])).toBe(false);
  });
});

describe('the gate', () => {
  it('opens when the prefill worker has answered', async () => {
    await new PrefillGate(Promise.resolve(), 60_000).beforeFirst();
  });

  it('refuses as the prefill worker does, and when it does not answer', async () => {
    const refused = Promise.reject(new Error('too long'));
    await expect(new PrefillGate(refused, 60_000).beforeFirst()).rejects.toThrow('too long');
    await expect(new PrefillGate(new Promise(() => {}), 1).beforeFirst()).rejects.toThrow('did not answer');
  });
});
