import { encodeText } from './mock-tokenizer.ts';
import { mix32, type PrefixHash } from './prefix-hash.ts';

/**
 * The language of the simulated model. The next token is a function of all token ids before it and a seed, so the same
 * prompt always continues the same way, streamed or not, computed here or on another worker, and a continuation may be
 * cut anywhere and resumed from its token ids. The text reads like English and encodes to the same tokens again.
 */

const WORDS =
  `a an as at be by do go he if in is it my no of on or so to up us we all and any are ask big but can car cat cup day did
dog ear end eye far few for fun get had has her hid him his hot how its job key law lay let lie lot low man map may new
not now off oil old one our out own pay put ran red run sat saw say sea see set she sit six sky son sun ten the too top
try two use was way who why win yes yet you about above across after again almost along also always among animal answer
back because become before begin behind below best better between black blue book both bread bridge bright bring brother
build built call came change child city clean clear close cloud cold come common corn could country cross dark deep
different distance door down dream drive each early earth east easy eight engine enough even evening every example family
farm fast father feel field fire fish five floor flower follow forest forward four friend from front garden gentle girl
give glass gold good grass great green ground grow hand happy harbor head hear heart heavy help here high hill history
home hope horse hour house hundred ice idea inside island jump just keep kind king kitchen know lake land language large
last late laugh leaf learn leave left letter life light line listen little live long look love machine make market meadow
measure metal middle mile mind minute moment money moon morning mother mountain mouth move music name near never next
night north nothing number ocean often only open orange order other over page paper part past path pattern people perhaps
picture piece place plain plant play point power present question quick quiet rain reach read ready reason remember rest
right river road rock room round school science second sentence seven shadow sharp ship short should side silver simple
sing sister sleep slow small smile snow soft some song soon sound south space speak spring stand star start station still
stone stop story street strong summer table take talk teach tell thing think thousand three through time today together
tomorrow town travel tree true turn under until valley village visit voice wait walk warm watch water weather west wheel
when where white wide wild window winter wish with woman wonder wood word work world write year yellow young`.split(
    /\s+/,
  );

/** Token of a piece that does not end a word → the piece that must follow. */
const continuation = new Map<number, number>();
/** First tokens of words: after a space, after a space with a capital, and at the start of a line with one. */
const spaced: number[] = [];
const spacedCapital: number[] = [];
const lineCapital: number[] = [];

const PERIOD = encodeText('.')[0]!;
const COMMA = encodeText(',')[0]!;

/** Takes a word in, unless one of its pieces already means something else: pieces then would not tell where they are. */
function addWord(word: string, endings: Set<number>): void {
  const capital = word[0]!.toUpperCase() + word.slice(1);
  const forms = [` ${word}`, ` ${capital}`, capital].map((form) => encodeText(form));
  const fits = forms.every((tokens) => {
    const inner = tokens.slice(0, -1);
    if (continuation.has(tokens[tokens.length - 1]!)) return false;
    return inner.every((token, index) => {
      const next = continuation.get(token);
      return !endings.has(token) && (next === undefined || next === tokens[index + 1]);
    });
  });
  if (!fits) return;
  for (const tokens of forms) {
    for (let index = 0; index + 1 < tokens.length; index += 1) continuation.set(tokens[index]!, tokens[index + 1]!);
    endings.add(tokens[tokens.length - 1]!);
  }
  spaced.push(forms[0]![0]!);
  spacedCapital.push(forms[1]![0]!);
  lineCapital.push(forms[2]![0]!);
}

const endings = new Set<number>();
for (const word of WORDS) addWord(word, endings);

/** Number of words the model knows. */
export const vocabularySize = spaced.length;

/**
 * The token after the sequence that `prefix` has hashed and whose last token is `last`.
 * `seed` 0 is the greedy continuation; other seeds give others.
 */
export function nextToken(prefix: PrefixHash, last: number, seed: number): number {
  const forced = continuation.get(last);
  if (forced !== undefined) return forced;
  const dice = mix32(prefix.a ^ Math.imul(seed, 0x9e3779b1));
  const pick = (mix32(prefix.b ^ Math.imul(seed, 0x85ebca6b)) >>> 0) % spaced.length;
  const end = lastByte(last);
  if (isWordEnd(end)) {
    const roll = dice & 31;
    if (roll < 2) return PERIOD;
    if (roll < 4) return COMMA;
    return spaced[pick]!;
  }
  if (end === 0x0a || end === 0) return lineCapital[pick]!;
  return end === 0x2e || end === 0x21 || end === 0x3f ? spacedCapital[pick]! : spaced[pick]!;
}

function lastByte(token: number): number {
  let rest = token >>> 0;
  while (rest > 0xff) rest >>>= 8;
  return rest;
}

function isWordEnd(byte: number): boolean {
  return (byte >= 0x61 && byte <= 0x7a) || (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x30 && byte <= 0x39);
}
