import { describe, expect, it } from 'vitest';
import { openPortBook } from '../../../src/plan/assign-ports.ts';
import { recordedFacts } from '../../helpers/recipes.ts';

const book = (listening: number[], first = 32_768, taken: number[] = []) =>
  openPortBook(recordedFacts('no-gpu', { listeningPorts: listening, ephemeralPorts: { first, last: 60_999 } }), taken);

describe('openPortBook', () => {
  it('gives runs that nothing stands in, each port once', () => {
    const ports = book([8102], 32_768, [8100]);
    expect([ports.take(8100), ports.take(8100, 3), ports.take(8100)]).toEqual([8101, 8103, 8106]);
    expect(ports.skipped()).toEqual([8102]);
    expect(ports.skipped()).toEqual([]);
  });

  it('stays below the ephemeral range, and says when it is full', () => {
    const ports = book([], 8102);
    expect([ports.take(8100), ports.take(8100)]).toEqual([8100, 8101]);
    expect(() => ports.take(8100)).toThrow(/no 1 free port from 8100 to 8101/);
  });

  it('still gives ports where the kernel uses all of them for outgoing connections', () => {
    expect(book([], 1_024).take(8100)).toBe(8100);
  });

  it('keeps what the user wrote down', () => {
    const ports = book([]);
    ports.reserve(8100);
    expect(ports.take(8100)).toBe(8101);
  });
});
