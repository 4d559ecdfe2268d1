import { expect, it } from 'vitest';
import { arrivalOf, formatMark, offsetSince, parseMarks } from '../../../src/supervise/log-index.ts';

const marks = [
  { bytes: 100, at: 1_000, from: null },
  { bytes: 250, at: 2_000, from: null },
  { bytes: 400, at: 9_000, from: 2_000 },
];

it('reads what it writes', () => {
  expect(parseMarks(marks.map(formatMark).join(''))).toEqual(marks);
});

it('leaves out half lines, garbage and what goes backwards', () => {
  expect(parseMarks('100 1000\n\u0000\u0000\nnonsense\n50 1500\n250 2000\n3')).toEqual(marks.slice(0, 2));
  expect(parseMarks('')).toEqual([]);
});

it('tells when a byte arrived, and when nobody had looked', () => {
  expect(arrivalOf(marks, 0)).toMatchObject({ at: 1_000, from: null });
  expect(arrivalOf(marks, 99)).toMatchObject({ at: 1_000 });
  expect(arrivalOf(marks, 100)).toMatchObject({ at: 2_000 });
  expect(arrivalOf(marks, 399)).toMatchObject({ at: 9_000, from: 2_000 });
  expect(arrivalOf(marks, 400)).toBeUndefined();
  expect(arrivalOf([], 0)).toBeUndefined();
});

it('finds where to begin for a time', () => {
  expect(offsetSince(marks, 0)).toBe(0);
  expect(offsetSince(marks, 1_000)).toBe(0);
  expect(offsetSince(marks, 1_001)).toBe(100);
  // Somewhere between 2,000 and 9,000: may be later than 5,000.
  expect(offsetSince(marks, 5_000)).toBe(250);
  expect(offsetSince(marks, 9_001)).toBe(400);
  expect(offsetSince([], 5)).toBe(0);
});
