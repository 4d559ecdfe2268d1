import { Command, type Option } from 'commander';
import { COMMANDS } from './registry.ts';

const HELP_FLAGS = '-h, --help';
const HELP_TEXT = 'show this help';
/** Explanations are wrapped down to this many columns: long options leave no more on a terminal of 60. */
const MIN_WIDTH_TO_WRAP = 16;

/** The whole program from the command table. Runs nothing and reads nothing: `cli.ts` runs it, `cli-docs.ts` writes it down. */
export function buildProgram(version: string): Command {
  const program = new Command('dynamo')
    .description('Serve large models with separate prefill and decode workers: one recipe file, one command, tokens.')
    .version(version, '-V, --version', 'print the version')
    .helpOption(HELP_FLAGS, HELP_TEXT)
    .helpCommand('help [command]', 'Show the help of a command')
    .option('--verbose', 'print stacks and causes of errors')
    .showHelpAfterError('(run with --help for usage)')
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(text.replace(/^(error: .*)$/m, '$1 [USAGE]')) })
    .configureHelp({ optionDescription: describeOption, minWidthToWrap: MIN_WIDTH_TO_WRAP })
    .addHelpText('after', '\nExample:\n  $ dynamo serve recipes/quickstart.yaml\n');
  for (const entry of COMMANDS) {
    const command = program.command(entry.name, { hidden: entry.hidden ?? false }).description(entry.summary);
    command.helpOption(HELP_FLAGS, HELP_TEXT).exitOverride();
    entry.define(command);
    if (entry.example)
      command.addHelpText('after', `\nExample:\n${entry.example.map((line) => `  $ ${line}`).join('\n')}\n`);
  }
  return program;
}

/** Defaults and choices as they are typed: no quotes, and nothing said of what is off or empty. */
function describeOption(option: Option): string {
  const notes: string[] = [];
  if (option.argChoices) notes.push(option.argChoices.join(', '));
  const { defaultValue: value } = option;
  const isOff = value === undefined || typeof value === 'boolean' || (Array.isArray(value) && value.length === 0);
  if (!isOff) notes.push(`default: ${option.defaultValueDescription ?? String(value)}`);
  return notes.length === 0 ? option.description : `${option.description} (${notes.join('; ')})`;
}
