import type { Command } from 'commander';

/** What every command that takes a recipe understands. */
export interface RecipeFlags {
  set?: string[];
  name?: string;
  facts?: string[];
  hosts?: string;
  nodeArchive?: string;
}

const collect = (value: string, all: string[] = []): string[] => [...all, value];

/** Adds the argument and the options of a recipe. */
export function addRecipeOptions(command: Command): Command {
  return addSetOption(command.argument('<recipe>', 'a recipe file, or the name of one that comes with dynamo'))
    .option('--name <name>', 'name of the deployment (default: that of the recipe)')
    .option('--hosts <file>', 'run on the hosts of this file (default: those of the recipe, else this machine)')
    .option('--facts <file>', 'plan for the machine described in this JSON file (repeatable: several hosts)', collect);
}

/** For commands that bring dynamo to the hosts of a deployment. */
export const NODE_ARCHIVE_OPTION = [
  '--node-archive <file>',
  'archive of Node, as nodejs.org has it, for hosts that have none (default: through npm)',
] as const;

export function addSetOption(command: Command): Command {
  return command.option(
    '--set <path=value>',
    'override a value, such as workers.decode.replicas=4 (repeatable)',
    collect,
  );
}
