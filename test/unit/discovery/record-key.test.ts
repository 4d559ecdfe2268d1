import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatRecordKey, parseRecordKey } from '../../../src/discovery/record-key.ts';

describe('record keys', () => {
  it('look as documented', () => {
    expect(formatRecordKey({ kind: 'instance', name: 'prefill-0', generation: 3 })).toBe('instance.prefill-0.3');
    expect(formatRecordKey({ kind: 'tombstone', name: '../a b', generation: 0 })).toBe('tombstone.%2E%2E%2Fa%20b.0');
    expect(formatRecordKey({ kind: 'commit', generation: 12 })).toBe('commit.12');
    expect(formatRecordKey({ kind: 'commit', generation: 12, revision: 3 })).toBe('commit.12.3');
    expect(parseRecordKey('commit.12.3')).toEqual({ kind: 'commit', generation: 12, revision: 3 });
  });

  it('can be read back for any name, and are safe in paths and URLs', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 }),
        fc.nat(),
        fc.constantFrom('instance' as const, 'tombstone' as const),
        (name, generation, kind) => {
          const key = { kind, name, generation };
          const text = formatRecordKey(key);
          expect(text).toMatch(/^[A-Za-z0-9_%.-]+$/);
          expect(parseRecordKey(text)).toEqual(key);
        },
      ),
    );
  });

  it('refuses everything else', () => {
    const foreign = ['', 'README', 'instance.a', 'instance..1', 'instance.a.01', 'instance.a.-1', 'instance.%zz.1'];
    foreign.push(
      'instance.%61.1',
      'commit.a.1',
      'commit.1.0',
      'commit.1.01',
      'other.a.1',
      'instance.a.1.json',
      'instance.a/b.1',
      'commit.99999999999999999',
    );
    for (const text of foreign) expect(parseRecordKey(text)).toBeUndefined();
    fc.assert(
      fc.property(fc.string(), (text) => {
        const key = parseRecordKey(text);
        if (key) expect(formatRecordKey(key)).toBe(text);
      }),
    );
  });
});
