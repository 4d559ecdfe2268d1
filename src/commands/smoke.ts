import type { Command } from 'commander';
import type { CommandEntry } from './command.ts';
import { addRecipeOptions, NODE_ARCHIVE_OPTION } from './recipe-options.ts';
import type { SmokeFlags } from './smoke-run.ts';

export const smokeCommand: CommandEntry = {
  name: 'smoke',
  summary: 'Serve a recipe on free ports, check that it works, stop it, check that nothing is left; for CI',
  example: ['dynamo smoke recipes/quickstart.yaml --junit smoke.xml'],
  define(command: Command) {
    addRecipeOptions(command)
      .option(...NODE_ARCHIVE_OPTION)
      .option('--junit <file>', 'write the outcome as JUnit XML')
      .option('--keep', 'keep state and logs of a run that passed')
      .option('--json', 'print the outcome as JSON')
      .action(async (recipe: string, flags: SmokeFlags) => {
        const { runSmoke } = await import('./smoke-run.ts');
        await runSmoke(recipe, flags);
      });
  },
};
