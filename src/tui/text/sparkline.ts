/** The newest `width` values as one row of bars; see `barRows`. */
export function sparkline(values: readonly (number | null)[], width: number, bars: string): string {
  return barRows(values, width, 1, bars)[0]!;
}

/**
 * The newest `width` values as bars from zero to the highest of them, `height` rows from top to bottom. A blank where there is
 * no value, and at the left while there are few; zero is the lowest bar, so that it differs from nothing. `bars` goes from
 * low to high.
 */
export function barRows(values: readonly (number | null)[], width: number, height: number, bars: string): string[] {
  const steps = [...bars];
  const shown = width > 0 ? values.slice(-width) : [];
  const highest = Math.max(0, ...shown.map((value) => value ?? 0));
  return Array.from({ length: height }, (_, row) => {
    const base = (height - 1 - row) * steps.length; // levels below this row
    const drawn = shown.map((value) => {
      if (value === null) return ' ';
      const level = highest === 0 || value <= 0 ? 1 : Math.max(1, Math.ceil((value / highest) * steps.length * height));
      if (level <= base) return ' ';
      return steps[Math.min(steps.length, level - base) - 1]!;
    });
    return drawn.join('').padStart(Math.max(0, width));
  });
}
