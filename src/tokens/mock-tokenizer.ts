/**
 * The tokenizer of the simulated engine. It has no vocabulary, so nothing must be downloaded and every token id can be
 * turned back into text anywhere.
 *
 * Text → UTF-8 bytes → pieces, greedily from the left: an optional space followed by one to three ASCII letters or
 * digits, else any single byte. English comes to about 2.8 bytes a token.
 * A token id is the bytes of its piece, the first byte lowest, in an unsigned 32-bit integer (`" cat"` = 0x74616320).
 * The piece of one NUL byte would be 0 and could not be told from padding: it is 0x00000100. Id 0 decodes to nothing.
 */

/** Id of the piece that is one NUL byte. */
const NUL_TOKEN = 0x100;
const SPACE = 0x20;

const isAlphanumeric = new Uint8Array(256);
for (const char of 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789') {
  isAlphanumeric[char.charCodeAt(0)] = 1;
}

/** Token ids of a text. A lone surrogate counts as U+FFFD, as everywhere in UTF-8. */
export function encodeText(text: string): Uint32Array {
  return encodeBytes(Buffer.from(text, 'utf8'));
}

/** Token ids of UTF-8 bytes. */
export function encodeBytes(bytes: Uint8Array): Uint32Array {
  const ids = new Uint32Array(bytes.length);
  const end = bytes.length;
  let count = 0;
  for (let at = 0; at < end; ) {
    const first = bytes[at]!;
    let letters = at;
    if (first === SPACE && at + 1 < end && isAlphanumeric[bytes[at + 1]!] === 1) letters = at + 1;
    else if (isAlphanumeric[first] === 0) {
      ids[count++] = first === 0 ? NUL_TOKEN : first;
      at += 1;
      continue;
    }
    let id = letters === at ? 0 : SPACE;
    let shift = letters === at ? 0 : 8;
    const limit = Math.min(letters + 3, end);
    let next = letters;
    for (; next < limit && isAlphanumeric[bytes[next]!] === 1; next += 1) {
      id |= bytes[next]! << shift;
      shift += 8;
    }
    ids[count++] = id;
    at = next;
  }
  return ids.slice(0, count);
}

/** Bytes of token ids; any 32-bit id is accepted. A UTF-8 character may be spread over several tokens. */
export function decodeTokens(ids: ArrayLike<number>): Buffer {
  const bytes = Buffer.allocUnsafe(ids.length * 4);
  let at = 0;
  for (let index = 0; index < ids.length; index += 1) {
    let id = ids[index]! >>> 0;
    if (id === NUL_TOKEN) {
      bytes[at++] = 0;
      continue;
    }
    for (; id !== 0; id >>>= 8) bytes[at++] = id & 0xff;
  }
  return bytes.subarray(0, at);
}

/** Text of token ids; bytes that are no UTF-8 become U+FFFD. */
export function decodeText(ids: ArrayLike<number>): string {
  return decodeTokens(ids).toString('utf8');
}
