import { describe, expect, it } from 'vitest';
import { roomOf, SGLANG_BOOTSTRAP } from '../../../../src/engines/sglang/kv-transfer.ts';

const meeting = { host: '10.0.0.7', port: 8998, rooms: [7, 2 ** 53 - 1], rids: ['aa', 'bb'] };
const race = (body: string, isBatch: boolean) =>
  SGLANG_BOOTSTRAP.raceBody(Buffer.from(body), meeting, isBatch).toString();

describe('raceBody', () => {
  it('adds scalars for one prompt and leaves the rest as it came', () => {
    expect(race('{"prompt":"a", "seed":12345678901234567890}', false)).toBe(
      '{"prompt":"a", "seed":12345678901234567890,"bootstrap_host":"10.0.0.7","bootstrap_port":8998,"bootstrap_room":7,"rid":"aa"}',
    );
  });

  it('adds lists as long as the batch', () => {
    expect(JSON.parse(race('{"prompt":["a","b"]}', true))).toEqual({
      prompt: ['a', 'b'],
      bootstrap_host: ['10.0.0.7', '10.0.0.7'],
      bootstrap_port: [8998, 8998],
      bootstrap_room: [7, 2 ** 53 - 1],
      rid: ['aa', 'bb'],
    });
  });

  it('replaces what the client brought', () => {
    expect(race('{"bootstrap_room":1,"rid":"","bootstrap_host":"evil","bootstrap_port":1}', false)).not.toMatch(
      /evil|:1[,}]/,
    );
  });
});

describe('roomOf', () => {
  it('is never 0, which a decode worker takes for not landed, nor beyond a double', () => {
    expect(roomOf(Buffer.alloc(8))).toBeUndefined();
    expect(roomOf(Buffer.from('00000000000000e0', 'hex'))).toBeUndefined();
    expect(roomOf(Buffer.alloc(8, 0xff))).toBe(Number.MAX_SAFE_INTEGER);
    expect(roomOf(Buffer.from('0100000000000000', 'hex'))).toBe(1);
  });
});
