import type { Command } from 'commander';

/** Adds `dynamo <command> <name>` with its own help and examples, which are command lines without the prompt. */
export function addSubcommand(parent: Command, name: string, summary: string, ...example: string[]): Command {
  parent.helpCommand(false);
  return parent
    .command(name)
    .description(summary)
    .helpOption('-h, --help', 'show this help')
    .exitOverride()
    .addHelpText('after', `\nExample:\n${example.map((line) => `  $ ${line}`).join('\n')}\n`);
}
