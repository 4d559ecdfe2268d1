import type { Command } from 'commander';
import type { CommandEntry } from './command.ts';
import { addRecipeOptions, NODE_ARCHIVE_OPTION } from './recipe-options.ts';
import type { ServeFlags } from './serve-flags.ts';

export const serveCommand: CommandEntry = {
  name: 'serve',
  summary: 'Start what a recipe describes, or attach to it when it runs; Ctrl-C stops everything',
  example: [
    'dynamo serve recipes/quickstart.yaml',
    'dynamo serve my-recipe.yaml --detach --set workers.decode.replicas=4',
    'dynamo serve my-recipe.yaml --rolling --dry-run',
    'dynamo serve my-recipe.yaml --hosts hosts.yaml --wait 2h',
  ],
  define(command: Command) {
    addRecipeOptions(command)
      .option('-d, --detach', 'return once it is ready and leave it running')
      .option('--replace', 'when another recipe runs under this name, stop it first')
      .option(
        '--rolling',
        'when another recipe runs under this name, replace what changed one process at a time, without a gap (with --replace: also where there must be one)',
      )
      .option('--ephemeral', 'stop everything when this command goes away, however it ends')
      .option(
        '--wait [duration]',
        'when GPUs are taken or hosts are away, wait until all is free, holding nothing (`--wait=30m`, or after the recipe)',
      )
      .option(...NODE_ARCHIVE_OPTION)
      .option('--dry-run', 'print the plan and start nothing, like `dynamo plan`')
      .option('--no-tui', 'print lines, also on a terminal')
      .option('--json', 'print one JSON object a line: snapshots and events')
      .action(async (recipe: string, flags: ServeFlags) => {
        const { runServe } = await import('./serve-run.ts');
        await runServe(recipe, flags);
      });
  },
};
