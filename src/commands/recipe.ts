import type { Command } from 'commander';
import type { CommandEntry } from './command.ts';
import { addSetOption } from './recipe-options.ts';
import { addSubcommand } from './subcommand.ts';

interface Flags {
  set?: string[];
  json?: boolean;
}

export const recipeCommand: CommandEntry = {
  name: 'recipe',
  summary: 'List, show and check recipes',
  example: ['dynamo recipe list', 'dynamo recipe validate my-recipe.yaml --set workers.decode.replicas=4'],
  define(command: Command) {
    const sub = (name: string, summary: string, ...example: string[]): Command =>
      addSubcommand(command, name, summary, ...example);

    sub('list', 'List the recipes that come with dynamo', 'dynamo recipe list')
      .option('--json', 'print them as JSON')
      .action(async (flags: Flags) => {
        const { listRecipes } = await import('./recipe-output.ts');
        process.stdout.write(listRecipes(flags.json === true));
      });

    addSetOption(
      sub(
        'show',
        'Print a recipe with bases, overrides, variables and defaults filled in',
        'dynamo recipe show quickstart',
      )
        .argument('<recipe>', 'a recipe file, or the name of one that comes with dynamo')
        .option('--json', 'print it as JSON'),
    ).action(async (recipe: string, flags: Flags) => {
      const { showRecipe } = await import('./recipe-output.ts');
      process.stdout.write(await showRecipe(recipe, flags));
    });

    addSetOption(
      sub('validate', 'Check a recipe and name every problem at once', 'dynamo recipe validate my-recipe.yaml')
        .argument('<recipe>', 'a recipe file, or the name of one that comes with dynamo')
        .option('--json', 'print the result as JSON'),
    ).action(async (recipe: string, flags: Flags) => {
      const { validateRecipe } = await import('./recipe-output.ts');
      process.stdout.write(await validateRecipe(recipe, flags));
    });

    sub('schema', 'Print the JSON schema of recipes, for editors', 'dynamo recipe schema > recipe.schema.json').action(
      async () => {
        const { printSchema } = await import('./recipe-output.ts');
        process.stdout.write(printSchema());
      },
    );
  },
};
