import { createRandom, type Random } from './random.ts';

/**
 * 256 short words. With a leading space each is exactly one token of the simulated engine, and one token of the GPT-2, cl100k and
 * o200k vocabularies too, so a prompt of n words is a prompt of n tokens on many real engines as well.
 * None needs escaping in JSON.
 */
const WORDS: readonly string[] = (
  'the and for you not are but was all can has had her his him our out one two new now old see way who did get may say she ' +
  'too use any day let put end why try ask men man run own big few far low top set act add age ago air art bag bar bed bit ' +
  'box boy bus buy car cut dog dry due eat eye fit fly fun guy hit hot job key kid law lay led leg lot map mix net oil pay ' +
  'per pop pre pro raw red sea sit six sky son sun tax tea ten tip web win yes yet of to in is on by it or be at as an we us ' +
  'if my do no so up he me go am off its how arm ice ink inn joy lab lap log nor nut odd pan pen pet pie pin pit pot ' +
  'row sum tie ton tow van via wet won zoo aid aim apt bat bay bow cap cat cow cup dad dig dot ear egg era fan fee fix ' +
  'fog fox gap gym hat hen hip hop hug hut ion jar jaw jet kit lip mom nod pad paw pub rib rod rub ski sub tag tap tin toe ' +
  'toy tub vet wax wit sat ran met got fur flu gel gig elf ace app bot cab con cop dam den doc dye eco eve fin gem git hub ' +
  'hue lag lid mic nap oak opt orb ore owl pal pod'
).split(' ');

const SPACED = WORDS.map((word) => ` ${word}`);
const BLOCK_STREAM = 2;
const SYNTHETIC_STREAM = 3;

/** `count` words, each after a space: `count` tokens. */
function words(random: Random, count: number): string {
  let text = '';
  let bits = 0;
  for (let index = 0; index < count; index += 1) {
    if (index % 4 === 0) bits = random.uint32();
    text += SPACED[bits & 255];
    bits >>>= 8;
  }
  return text;
}

/** Text of one trace block: `tokens` tokens that depend on the seed and the hash id only, so equal ids give equal text. */
export function blockText(seed: number, hashId: number, tokens: number): string {
  return words(createRandom(seed, BLOCK_STREAM, hashId), tokens);
}

/** Text of request number `index` of a synthetic load: no two share a prefix. */
export function syntheticText(seed: number, index: number, tokens: number): string {
  return words(createRandom(seed, SYNTHETIC_STREAM, index), tokens);
}

/** Prompt of a trace row: one block of `blockSize` tokens per hash id, the last one cut to what is left of `tokens`. */
export function tracePrompt(seed: number, hashIds: readonly number[], tokens: number, blockSize: number): string {
  let text = '';
  let left = tokens;
  for (const hashId of hashIds) {
    if (left <= 0) break;
    text += blockText(seed, hashId, Math.min(blockSize, left));
    left -= blockSize;
  }
  return text;
}
