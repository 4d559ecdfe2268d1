/**
 * Finds and edits the members of one JSON object on its bytes, so that values pass through exactly as they came
 * (64-bit integers, key order, escapes). Strings are skipped with a native search; nesting needs no stack.
 * It checks the structure it walks over, not the grammar of the values it skips: callers that need valid JSON parse it too.
 */
export interface JsonMember {
  /** Decoded key. */
  key: string;
  /** Offset of the key's opening quote. */
  start: number;
  /** Offsets of the value's first byte and of the byte after its last. */
  valueStart: number;
  valueEnd: number;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

/** Members of the object that is the whole of `json[start, end)`, in order, duplicates included. Undefined when it is no object. */
export function objectMembers(json: Buffer, start = 0, end = json.length): JsonMember[] | undefined {
  const members: JsonMember[] = [];
  let at = skipSpace(json, start, end);
  if (json[at] !== OPEN_BRACE) return undefined;
  at = skipSpace(json, at + 1, end);
  if (json[at] === CLOSE_BRACE) return skipSpace(json, at + 1, end) === end ? members : undefined;
  for (;;) {
    const keyStart = at;
    if (at >= end || json[at] !== QUOTE) return undefined;
    const keyEnd = skipString(json, at, end);
    if (keyEnd < 0) return undefined;
    at = skipSpace(json, keyEnd, end);
    if (json[at] !== COLON) return undefined;
    const valueStart = skipSpace(json, at + 1, end);
    const valueEnd = skipValue(json, valueStart, end);
    if (valueEnd < 0) return undefined;
    const key = decodeKey(json, keyStart, keyEnd);
    if (key === undefined) return undefined;
    members.push({ key, start: keyStart, valueStart, valueEnd });
    at = skipSpace(json, valueEnd, end);
    if (at >= end) return undefined;
    if (json[at] === CLOSE_BRACE) return skipSpace(json, at + 1, end) === end ? members : undefined;
    if (json[at] !== COMMA) return undefined;
    at = skipSpace(json, at + 1, end);
  }
}

/** Offsets of the first element of the array that is the whole of `json[start, end)`. Undefined when it is empty or no array. */
export function firstElement(json: Buffer, start: number, end: number): { start: number; end: number } | undefined {
  if (json[start] !== OPEN_BRACKET) return undefined;
  const from = skipSpace(json, start + 1, end);
  const to = skipValue(json, from, end);
  return to < 0 ? undefined : { start: from, end: to };
}

/** The last member of that key, which is the one JSON parsers keep. */
export function findMember(members: readonly JsonMember[], key: string): JsonMember | undefined {
  return members.findLast((member) => member.key === key);
}

/**
 * A copy of the object without the members named in `remove` (every occurrence) and with `add` at its end, as
 * `[key, JSON text]`. Kept members and the space between neighbours stay byte for byte. Undefined when `json` is no object.
 */
export function editObject(
  json: Buffer,
  remove: ReadonlySet<string>,
  add: readonly (readonly [key: string, value: string | Buffer])[],
): Buffer | undefined {
  const members = objectMembers(json);
  if (members === undefined) return undefined;
  const parts: Buffer[] = [Buffer.from('{')];
  let pending: { start: number; end: number } | undefined;
  const flush = (): void => {
    if (pending === undefined) return;
    if (parts.length > 1) parts.push(Buffer.from(','));
    parts.push(json.subarray(pending.start, pending.end));
    pending = undefined;
  };
  for (const member of members) {
    if (remove.has(member.key)) flush();
    else if (pending === undefined) pending = { start: member.start, end: member.valueEnd };
    else pending.end = member.valueEnd;
  }
  flush();
  for (const [key, value] of add) {
    parts.push(Buffer.from(`${parts.length > 1 ? ',' : ''}${JSON.stringify(key)}:`));
    parts.push(typeof value === 'string' ? Buffer.from(value) : value);
  }
  parts.push(Buffer.from('}'));
  return Buffer.concat(parts);
}

/**
 * The object with one member added at its end, all bytes before it untouched.
 * For objects known to be valid, to have a member, and to lack this key: nothing is scanned.
 */
export function appendMember(json: Buffer, key: string, value: string | Buffer): Buffer {
  const end = json.lastIndexOf(CLOSE_BRACE);
  const text = typeof value === 'string' ? Buffer.from(value) : value;
  return Buffer.concat([json.subarray(0, end), Buffer.from(`,${JSON.stringify(key)}:`), text, json.subarray(end)]);
}

/** `json` with the bytes `[start, end)` replaced. */
export function spliceBytes(json: Buffer, start: number, end: number, replacement: string): Buffer {
  return Buffer.concat([json.subarray(0, start), Buffer.from(replacement), json.subarray(end)]);
}

function skipSpace(json: Buffer, from: number, end: number): number {
  let at = from;
  while (at < end) {
    const byte = json[at];
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) break;
    at += 1;
  }
  return at;
}

/** Offset after the closing quote of the string that opens at `from`, -1 when it does not end. */
function skipString(json: Buffer, from: number, end: number): number {
  for (let at = from + 1; ; ) {
    const quote = json.indexOf(QUOTE, at);
    if (quote < 0 || quote >= end) return -1;
    let backslashes = 0;
    while (json[quote - 1 - backslashes] === BACKSLASH && quote - 1 - backslashes > from) backslashes += 1;
    if (backslashes % 2 === 0) return quote + 1;
    at = quote + 1;
  }
}

/** Offset after the value that starts at `from`, -1 when there is none or it does not end. */
function skipValue(json: Buffer, from: number, end: number): number {
  if (from >= end) return -1;
  const first = json[from];
  if (first === QUOTE) return skipString(json, from, end);
  if (first === OPEN_BRACE || first === OPEN_BRACKET) return skipNested(json, from, end);
  let at = from;
  while (at < end && isScalarByte(json[at]!)) at += 1;
  return at === from ? -1 : at;
}

function skipNested(json: Buffer, from: number, end: number): number {
  let depth = 0;
  for (let at = from; at < end; ) {
    const byte = json[at];
    if (byte === QUOTE) {
      at = skipString(json, at, end);
      if (at < 0) return -1;
      continue;
    }
    if (byte === OPEN_BRACE || byte === OPEN_BRACKET) depth += 1;
    else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) depth -= 1;
    at += 1;
    if (depth === 0) return at;
  }
  return -1;
}

/** Bytes of numbers, `true`, `false` and `null`. */
function isScalarByte(byte: number): boolean {
  return (
    (byte >= 0x30 && byte <= 0x39) ||
    (byte >= 0x61 && byte <= 0x7a) ||
    byte === 0x2d ||
    byte === 0x2b ||
    byte === 0x2e ||
    byte === 0x45
  );
}

function decodeKey(json: Buffer, start: number, end: number): string | undefined {
  const raw = json.toString('utf8', start + 1, end - 1);
  if (!raw.includes('\\')) return raw;
  try {
    return String(JSON.parse(`"${raw}"`));
  } catch {
    return undefined;
  }
}
