/** Neighbouring ports, from `first` up. */
export const portRun = (first: number, count: number): number[] =>
  Array.from({ length: Math.max(0, count) }, (_, index) => first + index);
