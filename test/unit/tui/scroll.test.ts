import { describe, expect, it } from 'vitest';
import { nextAnchor, pageOf, windowStart } from '../../../src/tui/scroll.ts';

const items = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => ({ seq: from + index }));
const seqs = (page: { seq: number }[]) => page.map((item) => item.seq);

describe('pageOf', () => {
  it('shows the newest while it follows', () => {
    expect(seqs(pageOf(items(1, 10), null, 3))).toEqual([8, 9, 10]);
    expect(seqs(pageOf(items(1, 2), null, 3))).toEqual([1, 2]);
    expect(pageOf([], null, 3)).toEqual([]);
  });

  it('stands still while entries come and old ones go', () => {
    expect(seqs(pageOf(items(1, 10), 5, 3))).toEqual([3, 4, 5]);
    expect(seqs(pageOf(items(1, 50), 5, 3))).toEqual([3, 4, 5]);
    expect(seqs(pageOf(items(5, 50), 5, 3))).toEqual([5, 6, 7]);
    expect(seqs(pageOf(items(20, 50), 5, 3))).toEqual([20, 21, 22]);
  });

  it('follows the filter: the anchor may be a line that is not there', () => {
    expect(seqs(pageOf([{ seq: 2 }, { seq: 4 }, { seq: 9 }], 6, 2))).toEqual([2, 4]);
  });
});

describe('nextAnchor', () => {
  const all = items(1, 10).map((item) => item.seq);
  it('moves, keeps the first page full, and follows again at the end', () => {
    expect(nextAnchor(all, null, -1, 3)).toBe(9);
    expect(nextAnchor(all, 9, 1, 3)).toBeNull();
    expect(nextAnchor(all, 5, Number.NEGATIVE_INFINITY, 3)).toBe(3);
    expect(nextAnchor([], null, -1, 3)).toBeNull();
    expect(nextAnchor([1, 2], null, -1, 3)).toBeNull();
  });
});

describe('windowStart', () => {
  it('keeps the chosen one in sight', () => {
    expect(windowStart(100, 10, 0)).toBe(0);
    expect(windowStart(100, 10, 50)).toBe(45);
    expect(windowStart(100, 10, 99)).toBe(90);
    expect(windowStart(5, 10, 4)).toBe(0);
    expect(windowStart(5, 10, -1)).toBe(0);
  });
});
