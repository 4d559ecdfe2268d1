/**
 * Scrolling in lists that grow at the end. An anchor is the `seq` of the lowest entry shown, so that the view stands still
 * while entries come; null follows the newest.
 */

/** The anchor after moving by `delta` entries; follows again once the newest is reached. */
export function nextAnchor(seqs: readonly number[], anchor: number | null, delta: number, rows: number): number | null {
  const last = seqs.length - 1;
  if (last < 0) return null;
  const lowest = Math.min(last, rows - 1); // the first page is full
  const moved = Math.max(lowest, anchorIndex(seqs, anchor) + delta);
  return moved >= last ? null : seqs[moved]!;
}

/** Index of the lowest entry shown; -1 for an empty list. An entry that is gone gives way to the oldest one left. */
export function anchorIndex(seqs: readonly number[], anchor: number | null): number {
  if (anchor === null) return seqs.length - 1;
  const index = seqs.findLastIndex((seq) => seq <= anchor);
  return index < 0 ? Math.min(0, seqs.length - 1) : index;
}

/** The entries on a page of `rows` that ends with the anchor; a full page where there are enough. */
export function pageOf<T extends { seq: number }>(items: readonly T[], anchor: number | null, rows: number): T[] {
  const end =
    anchorIndex(
      items.map((item) => item.seq),
      anchor,
    ) + 1;
  const from = Math.max(0, end - rows);
  return items.slice(from, Math.max(end, Math.min(items.length, rows)));
}

/** First index to show so that `chosen` is among `rows` of `count`, near the middle. */
export function windowStart(count: number, rows: number, chosen: number): number {
  return Math.max(0, Math.min(count - rows, chosen - Math.floor(rows / 2)));
}
