import { expect } from 'vitest';
import type { CliResult } from './run-cli.ts';
import { waitFor } from './until.ts';

/** A block of a page that shows what is printed, and the heading it stands under. */
export interface ShownOutput {
  heading: string;
  /** Which of the heading's blocks, from 0. */
  at: number;
  lines: string[];
}

/** The ```text, ```json and ```console blocks of a page. Pure. */
export function readShown(page: string): ShownOutput[] {
  const shown: ShownOutput[] = [];
  let heading = '';
  let block: string[] | undefined;
  let isCode = false;
  for (const line of page.split('\n')) {
    if (line.startsWith('```')) {
      if (isCode) {
        if (block) shown.push({ heading, at: shown.filter((other) => other.heading === heading).length, lines: block });
        block = undefined;
      } else if (/^```(text|json|console)$/.test(line)) block = [];
      isCode = !isCode;
    } else if (isCode) block?.push(line);
    else if (/^#+ /.test(line)) heading = line.replace(/^#+ /, '');
  }
  return shown;
}

/** What must be the same from run to run: a line without its numbers, times and columns. Pure. */
function shape(line: string): string {
  return line
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replace(/\b\d\d-\d\d \d\d:\d\d:\d\d\b/g, 'TIME')
    .replace(/\b\d+\.\d+\.\d+-[0-9a-f]{12}\b/g, 'VERSION')
    .replace(/\d{8}T\d{6}Z-\d+/g, 'TIME')
    .replace(/\b(?:\d+(?:\.\d+)? (?:h|min|m|s|ms) ?)+(?![\w/])/g, 'N s ')
    .replace(/(?<![\w-])\d+(?:\.\d+)*(?!\w)/g, 'N')
    .replace(/\s+/g, ' ')
    .trim();
}

const quote = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/**
 * Where a page and what was printed part; undefined when the page's lines were printed in their order, one after the other. `…` alone
 * stands for any lines, `…` within a line for any text. More may be printed before and after. Pure.
 */
export function findUnlike(shown: readonly string[], printed: readonly string[]): string | undefined {
  const have = printed.map(shape);
  /** How many lines of the page, from the given one on, are printed from the given place on. */
  const reach = (line: number, place: number): number => {
    const text = shown[line];
    if (text === undefined) return 0;
    if (text.trim() === '…')
      return 1 + Math.max(...[...have.keys(), have.length].slice(place).map((at) => reach(line + 1, at)));
    const want = new RegExp(`^${shape(text).split('…').map(quote).join('.*')}$`);
    return want.test(have[place] ?? '') ? 1 + reach(line + 1, place + 1) : 0;
  };
  const furthest = Math.max(...[...have.keys(), have.length].map((place) => reach(0, place)));
  return furthest === shown.length ? undefined : `the page says: ${shown[furthest]}\nprinted:\n${printed.join('\n')}`;
}

/** The blocks of a page, each to be shown by somebody. */
export class ShownOutputs {
  readonly #left: ShownOutput[];

  constructor(page: string) {
    this.#left = readShown(page);
  }

  /** Takes the block of a heading that nobody has taken: the commands typed in it, and the output of all of them. */
  take(heading: string, at = 0): { commands: string[]; lines: string[] } {
    const index = this.#left.findIndex((block) => block.heading === heading && block.at === at);
    if (index < 0) throw new Error(`the page has no block ${at} under "${heading}", or it was taken already`);
    const [block] = this.#left.splice(index, 1);
    const commands = block!.lines.filter((line) => line.startsWith('$ ')).map((line) => line.slice(2));
    return { commands, lines: block!.lines.filter((line) => !line.startsWith('$ ')) };
  }

  /** The block's lines are among those printed. */
  expect(heading: string, at: number, printed: readonly string[]): void {
    expect(findUnlike(this.take(heading, at).lines, printed)).toBeUndefined();
  }

  /** Runs the commands of the block with `run`, which gets their words; all end with 0 and print what it shows. */
  async expectTyped(heading: string, at: number, run: (words: readonly string[]) => Promise<CliResult>): Promise<void> {
    const { commands, lines } = this.take(heading, at);
    const printed: string[] = [];
    for (const command of commands) {
      const [program, ...words] = command.split(' ');
      expect(program).toBe('dynamo');
      const result = await run(words);
      expect(result.code, result.stderr + result.stdout).toBe(0);
      printed.push(...printedBy(result));
    }
    expect(findUnlike(lines, printed)).toBeUndefined();
  }

  /** The block is shown by `read` sooner or later: what it shows is passed through, or comes a moment after its cause. */
  async comesToShow(heading: string, at: number, read: () => Promise<readonly string[]>): Promise<void> {
    const { lines } = this.take(heading, at);
    let unlike: string | undefined;
    await waitFor('the output of the page', async () => {
      unlike = findUnlike(lines, await read());
      return unlike === undefined;
    }).catch((error: Error) => {
      throw new Error(`${error.message}: ${unlike}`);
    });
  }

  /** `heading, block` of what nobody took. */
  left(): string[] {
    return this.#left.map(({ heading, at }) => `${heading}, ${at}`);
  }
}

/** What a command printed, on either stream. */
export const printedBy = ({ stdout, stderr }: CliResult): string[] => `${stderr}${stdout}`.trimEnd().split('\n');

/** Blocks of docs/operations.md that several hosts are needed for, which one test of that page leaves to another. */
export const OF_SEVERAL_HOSTS: readonly string[] = [
  'A host belongs to another launcher, 0',
  'A host does not let in any more, 0',
  'A host is lost, 0',
  'More or fewer workers, on more or fewer hosts, 0',
  'Stop with a host away, 0',
  'The launcher, or its state folder, is gone, 0',
];
/** Made by hosts-wait.test.ts, whose hosts have GPUs that are taken. */
export const OF_TAKEN_GPUS = 'GPUs are taken, or a host is away, 1';
