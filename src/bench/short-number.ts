/** `0.4`, `12`, `1.3k`, `2.4M`: at most four characters or so, for axes and progress. Pure. */
export function shortNumber(value: number): string {
  const size = Math.abs(value);
  if (size >= 999_500) return `${trim(value / 1_000_000)}M`;
  if (size >= 999.5) return `${trim(value / 1_000)}k`;
  return trim(value);
}

function trim(value: number): string {
  const size = Math.abs(value);
  const digits = size >= 9.95 || size === 0 ? 0 : size >= 0.095 ? 1 : 2;
  return value.toFixed(digits);
}
