import type { Argument, Command, Option } from 'commander';

/** What can only be known by looking. Names; each may be empty. */
export interface CompletionSources {
  recipes(): Candidate[];
  templates(): Candidate[];
  deployments(): Candidate[];
  /** Of one deployment, or of the only one that is up. */
  processes(deployment: string | undefined): Candidate[];
  roles(deployment: string | undefined): Candidate[];
}

export interface Candidate {
  value: string;
  about: string;
}

export interface Completion {
  candidates: Candidate[];
  /** File names fit too. */
  files: boolean;
  /** The candidate is not a whole word: nothing is typed after it. */
  open: boolean;
}

const NOTHING: Completion = { candidates: [], files: false, open: false };

/**
 * What could stand for the last of `words`, which follow the program's name. Follows commander's own definitions: a new command, option
 * or choice completes without being named here; arguments are known by their names (`recipe`, `deployment`, `process`, …). Pure, but for
 * what the sources look up.
 */
export function completeWords(program: Command, words: readonly string[], sources: CompletionSources): Completion {
  const typed = words.at(-1) ?? '';
  const line = readLine(program, words.slice(0, -1));
  const found = completionsAt(line, typed, sources);
  return { ...found, candidates: found.candidates.filter(({ value }) => value.startsWith(typed)) };
}

/** A line of hints (`:files`, `:open` or `:`), then one candidate a line, its explanation after a tab. */
export function renderCompletion({ candidates, files, open }: Completion): string {
  const hints = `:${[files ? 'files' : '', open ? 'open' : ''].filter(Boolean).join(',')}`;
  return `${[hints, ...candidates.map(({ value, about }) => `${value}\t${about}`)].join('\n')}\n`;
}

interface Line {
  program: Command;
  command: Command;
  /** Arguments of the command that stand before. */
  given: string[];
  deployment: string | undefined;
  /** The option whose value is being typed. */
  option: Option | undefined;
  /** After `--` nothing is an option. */
  onlyArguments: boolean;
}

function readLine(program: Command, before: readonly string[]): Line {
  const nothing = { deployment: undefined, option: undefined, onlyArguments: false };
  const line: Line = { program, command: program, given: [], ...nothing };
  for (const word of before) {
    if (line.option) {
      if (line.option.long === '--deployment') line.deployment = word;
      line.option = undefined;
    } else if (line.onlyArguments || !word.startsWith('-') || word === '-') takeWord(line, word);
    else if (word === '--') line.onlyArguments = true;
    else {
      const option = findOption(line.command, word);
      if (option && (option.required || option.optional) && !word.includes('=')) line.option = option;
    }
  }
  return line;
}

function takeWord(line: Line, word: string): void {
  const child = line.given.length === 0 ? childrenOf(line.command).find((each) => each.name() === word) : undefined;
  if (child) {
    line.command = child;
    return;
  }
  const kind = argumentAt(line.command, line.given.length)?.name();
  if (kind === 'name' || kind === 'deployment') line.deployment = word;
  line.given.push(word);
}

const findOption = (command: Command, word: string): Option | undefined => {
  const name = word.split('=', 1)[0];
  return command.options.find((option) => option.long === name || option.short === name);
};

/** The last one may stand for many. */
function argumentAt(command: Command, position: number): Argument | undefined {
  const known = command.registeredArguments;
  const last = known.at(-1);
  return known[position] ?? (last?.variadic ? last : undefined);
}

function completionsAt(line: Line, typed: string, sources: CompletionSources): Completion {
  if (line.option) return valuesOf(line.option, sources);
  if (typed.startsWith('-') && !line.onlyArguments) return { ...NOTHING, candidates: optionsOf(line.command) };
  if (line.given.length === 0 && line.command.commands.length > 0)
    return { ...NOTHING, candidates: commandsOf(line.command) };
  const argument = argumentAt(line.command, line.given.length);
  if (!argument) return NOTHING;
  if (argument.argChoices) return { ...NOTHING, candidates: argument.argChoices.map(bare) };
  const found = byName(argument.name(), line, sources);
  return { ...found, candidates: found.candidates.filter(({ value }) => !line.given.includes(value)) };
}

const bare = (value: string): Candidate => ({ value, about: '' });

/** With `help`, which commander adds, and without hidden ones. */
const childrenOf = (command: Command): Command[] => command.createHelp().visibleCommands(command) as Command[];

const commandsOf = (command: Command): Candidate[] =>
  childrenOf(command).map((each) => ({ value: each.name(), about: each.description() }));

const optionsOf = (command: Command): Candidate[] =>
  command
    .createHelp()
    .visibleOptions(command)
    .map((option) => ({ value: option.long ?? option.short ?? '', about: option.description }));

function valuesOf(option: Option, sources: CompletionSources): Completion {
  if (option.argChoices) return { ...NOTHING, candidates: option.argChoices.map(bare) };
  if (option.long === '--deployment') return { ...NOTHING, candidates: sources.deployments() };
  return /<(file|dir|folder|path)>/.test(option.flags) ? { ...NOTHING, files: true } : NOTHING;
}

function byName(name: string, line: Line, sources: CompletionSources): Completion {
  if (/^(role|group)\b/.test(name))
    return {
      ...NOTHING,
      open: true,
      candidates: sources.roles(line.deployment).map(({ value, about }) => ({ value: `${value}=`, about })),
    };
  switch (name) {
    case 'recipe':
      return { ...NOTHING, candidates: sources.recipes(), files: true };
    case 'target':
      return { ...NOTHING, candidates: [...sources.deployments(), ...sources.recipes()], files: true };
    case 'name':
    case 'deployment': {
      // `logs` takes processes of the only deployment without its name.
      const also = line.command.registeredArguments.some((each) => each.name() === 'process');
      const processes = also ? sources.processes(line.deployment) : [];
      return { ...NOTHING, candidates: [...sources.deployments(), ...processes] };
    }
    case 'process':
      return { ...NOTHING, candidates: sources.processes(line.deployment) };
    case 'template':
      return { ...NOTHING, candidates: sources.templates() };
    case 'command':
      return { ...NOTHING, candidates: commandsOf(line.program) };
    default:
      return NOTHING;
  }
}
