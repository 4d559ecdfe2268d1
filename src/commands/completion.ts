import { Argument } from 'commander';
import type { CommandEntry } from './command.ts';

export const completionCommand: CommandEntry = {
  name: 'completion',
  summary: 'Print a script that completes commands, options, recipes, deployments and processes in your shell',
  example: [
    'source <(dynamo completion bash)              # also as a line of ~/.bashrc',
    'source <(dynamo completion zsh)               # in ~/.zshrc, after compinit',
    'dynamo completion fish > ~/.config/fish/completions/dynamo.fish',
  ],
  define(command) {
    command
      .addArgument(new Argument('<shell>', 'which shell').choices(['bash', 'zsh', 'fish']))
      .action(async (shell: 'bash' | 'zsh' | 'fish') => {
        const { COMPLETION_SCRIPTS } = await import('./completion-scripts.ts');
        process.stdout.write(COMPLETION_SCRIPTS[shell]);
      });
  },
};

/** What the scripts call: `dynamo complete -- WORDS`, the last one being typed. Prints a line of hints, then a candidate a line. */
export const completeCommand: CommandEntry = {
  name: 'complete',
  summary: 'Print what could stand for the last of these words; for the scripts of `completion`',
  hidden: true,
  define(command) {
    command.argument('[words...]', 'words of the command line after `dynamo`').action(async (words: string[]) => {
      const [{ completeWords, renderCompletion }, { localSources }] = await Promise.all([
        import('./complete-words.ts'),
        import('./completion-sources.ts'),
      ]);
      const program = command.parent ?? command;
      process.stdout.write(renderCompletion(completeWords(program, words, localSources(process.env))));
    });
  },
};
