import { expect, it } from 'vitest';
import { renderTable } from '../../../src/commands/table.ts';

it('pads each column to its widest cell, and nothing at the end of a line', () => {
  expect(
    renderTable(
      ['NAME', 'STATE', 'FOR'],
      [
        ['decode-10', 'ready', '1.0 s'],
        ['x', 'failed', ''],
      ],
    ),
  ).toEqual(['NAME       STATE   FOR', 'decode-10  ready   1.0 s', 'x          failed']);
});

it('is its head alone when there are no rows', () => {
  expect(renderTable(['A', 'B'], [])).toEqual(['A  B']);
});
