import { nearest } from '../yaml/nearest.ts';

/** What the help of an installed engine lists, without dashes and with `-` between words: `max-model-len`. */
export type KnownFlags = ReadonlySet<string>;

/** A flag of a command line that the installed engine does not list. */
export interface UnknownFlag {
  /** As it stands in argv. */
  flag: string;
  /** The listed one that was probably meant. */
  meant: string | undefined;
}

/** Every server has these two; a text without them is another help than the one asked for. */
const ALWAYS_THERE = ['host', 'port'];

/**
 * Long flags out of a help text as argparse (vLLM, SGLang), click (TensorRT-LLM) and llama.cpp print it: lines that begin with
 * a dash, up to the column of explanations. `undefined` when it does not look like the help of a server.
 */
export function parseHelp(text: string): KnownFlags | undefined {
  const flags = new Set<string>();
  for (const line of text.split('\n')) {
    if (!/^\s*--?[A-Za-z]/.test(line)) continue;
    // The explanation begins after two spaces; `-c,    --ctx-size N` is still the head.
    const head = line.trimStart().split(/\s{2,}(?=[^-\s])/)[0] ?? '';
    for (const [, name] of head.matchAll(/(?<![\w-])--([A-Za-z0-9][\w.-]*)/g)) flags.add(plain(name!));
  }
  return ALWAYS_THERE.every((flag) => flags.has(flag)) ? flags : undefined;
}

/** Flags of an argv that are not listed, each once, in their order. */
export function unknownFlags(argv: readonly string[], known: KnownFlags): UnknownFlag[] {
  const names = new Set(argv.flatMap((word) => /^--([A-Za-z0-9][\w.-]*)/.exec(word)?.[1] ?? []));
  return [...names].flatMap((name): UnknownFlag[] => {
    // `--compilation-config.mode` sets a part of `--compilation-config`.
    const flag = plain(name.split('.')[0]!);
    if (known.has(flag) || isAbbreviation(flag, known)) return [];
    const meant = nearest(flag, [...known]);
    return [{ flag: `--${name}`, meant: meant === undefined ? undefined : `--${meant}` }];
  });
}

/** Parsers take an unambiguous beginning for the whole. */
function isAbbreviation(flag: string, known: KnownFlags): boolean {
  return [...known].filter((name) => name.startsWith(flag)).length === 1;
}

const plain = (name: string): string => name.replaceAll('_', '-').toLowerCase();
