import type { Command } from 'commander';
import type { CommandEntry } from './command.ts';
import { addRecipeOptions, type RecipeFlags } from './recipe-options.ts';

export const planCommand: CommandEntry = {
  name: 'plan',
  summary: 'Print every process a recipe becomes, with ports, GPUs, command line and reasons; start nothing',
  example: [
    'dynamo plan recipes/quickstart.yaml --set workers.decode.replicas=4',
    'dynamo plan my-recipe.yaml --facts gpu-host.json --json',
  ],
  define(command: Command) {
    addRecipeOptions(command)
      .option('--json', 'print the plan as JSON')
      .action(async (recipe: string, flags: RecipeFlags & { json?: boolean }) => {
        const { prepareLaunch, formatPlan } = await import('./plan-recipe.ts');
        const prepared = await prepareLaunch({ recipe, ...flags, env: process.env, cwd: process.cwd() });
        process.stdout.write(formatPlan(prepared, flags.json === true, process.stdout));
      });
  },
};
