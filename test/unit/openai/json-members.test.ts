import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { appendMember, editObject, findMember, objectMembers } from '../../../src/openai/json-members.ts';

const object = fc.dictionary(
  fc.oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom('a"b', '\\', '{', 'kv_transfer_params', '\u2028')),
  fc.jsonValue({ maxDepth: 4, stringUnit: 'grapheme' }),
);
/** The same value with and without space between tokens. */
const text = fc.tuple(object, fc.constantFrom(0, 1, '\t', '\r\n  ')).map(([value, space]) => ({
  value,
  json: Buffer.from(
    `${space ? ' \n' : ''}${JSON.stringify(value, null, space === '\r\n  ' ? 3 : space)}${space ? '\r\n' : ''}`,
  ),
}));

describe('objectMembers', () => {
  it('finds the same members and values as JSON.parse', () => {
    fc.assert(
      fc.property(text, ({ value, json }) => {
        const members = objectMembers(json)!;
        const found = members.map((member) => [
          member.key,
          JSON.parse(json.toString('utf8', member.valueStart, member.valueEnd)),
        ]);
        expect(found).toEqual(Object.entries(JSON.parse(JSON.stringify(value))));
      }),
    );
  });

  it('decodes escaped keys and keeps duplicates apart', () => {
    const json = Buffer.from('{"kv\\u005ftransfer_params":1,"a":2,"kv_transfer_params":3}');
    const members = objectMembers(json)!;
    expect(members.map((member) => member.key)).toEqual(['kv_transfer_params', 'a', 'kv_transfer_params']);
    expect(findMember(members, 'kv_transfer_params')?.valueStart).toBe(json.lastIndexOf('3'));
  });

  it.each([
    '',
    '[]',
    '1',
    '"a"',
    '{',
    '{"a"',
    '{"a":',
    '{"a":1',
    '{"a":1,',
    '{"a":1,}',
    '{"a" 1}',
    '{a:1}',
    '{"a":1}x',
    '{"a":[1}',
    '{"a":"b}',
    '{"a":}',
    '{"\\x":1}',
  ])('refuses %j', (json) => {
    // A bracket closed by a brace is the parser's business; here it only must not run over the end.
    const members = objectMembers(Buffer.from(json));
    if (json !== '{"a":[1}') expect(members).toBeUndefined();
  });

  it('takes deep nesting without a stack', () => {
    const json = Buffer.from(`{"a":${'['.repeat(200_000)}${']'.repeat(200_000)},"b":1}`);
    expect(objectMembers(json)?.map((member) => member.key)).toEqual(['a', 'b']);
  });

  it('never reads outside the range it is given', () => {
    fc.assert(
      fc.property(text, fc.nat(), ({ json }, cut) => {
        const end = cut % (json.length + 1);
        const whole = objectMembers(Buffer.from(json.subarray(0, end)));
        expect(objectMembers(json, 0, end)).toEqual(whole);
      }),
    );
  });
});

describe('editObject', () => {
  it('equals the edit on the parsed object, for any members removed and added', () => {
    fc.assert(
      fc.property(text, fc.array(fc.nat()), fc.string(), fc.jsonValue(), ({ value, json }, picks, key, added) => {
        const keys = Object.keys(value);
        const remove = new Set(picks.map((pick) => keys[pick % Math.max(1, keys.length)] ?? 'none'));
        remove.add(key);
        const edited = editObject(json, remove, [[key, JSON.stringify(added)]])!;
        const kept = Object.entries(JSON.parse(JSON.stringify(value))).filter(([name]) => !remove.has(name));
        expect(Object.entries(JSON.parse(edited.toString()))).toEqual([
          ...Object.entries(Object.fromEntries([...kept, [key, JSON.parse(JSON.stringify(added))]])),
        ]);
      }),
    );
  });

  it('leaves the bytes of kept members alone', () => {
    const json = Buffer.from('{ "big" : 12345678901234567890 ,\n"text":"\\u00e9\\/" , "drop":{"x":[1,2]}, "z":1.0e5 }');
    expect(editObject(json, new Set(['drop']), [['new', '1']])?.toString()).toBe(
      '{"big" : 12345678901234567890 ,\n"text":"\\u00e9\\/","z":1.0e5,"new":1}',
    );
    expect(editObject(Buffer.from('{}'), new Set(), [['a', '1']])?.toString()).toBe('{"a":1}');
    expect(editObject(Buffer.from('{"a":1}'), new Set(['a']), [])?.toString()).toBe('{}');
    expect(editObject(Buffer.from('[1]'), new Set(), [])).toBeUndefined();
  });
});

describe('appendMember', () => {
  it('adds before the last brace and touches nothing else', () => {
    expect(appendMember(Buffer.from(' {"a":{"b":1} } \n'), 'c', '[2]').toString()).toBe(' {"a":{"b":1} ,"c":[2]} \n');
  });
});
