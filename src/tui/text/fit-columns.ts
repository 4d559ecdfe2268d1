/** What a column needs to be laid out. Widths in cells. */
export interface ColumnSpec {
  key: string;
  width: number;
  /** Those with the highest number go first when there is no room; 0 stays. */
  priority: number;
  /** Takes what is left over. */
  grows?: boolean;
}

const GAP = 2;

/** Widths of the columns that fit into `width`, two blanks apart. Pure. */
export function fitColumns(columns: readonly ColumnSpec[], width: number): Map<string, number> {
  let kept = [...columns];
  const needed = () => kept.reduce((sum, column) => sum + column.width, 0) + GAP * Math.max(0, kept.length - 1);
  while (needed() > width) {
    const worst = kept.reduce((a, b) => (b.priority >= a.priority ? b : a));
    if (worst.priority === 0) break;
    kept = kept.filter((column) => column !== worst);
  }
  const spare = Math.max(0, width - needed());
  return new Map(kept.map((column) => [column.key, column.width + (column.grows ? spare : 0)]));
}
