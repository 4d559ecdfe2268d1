import type { CommandEntry } from './command.ts';

export const restartCommand: CommandEntry = {
  name: 'restart',
  summary: 'Drain a process, then start it anew',
  example: ['dynamo restart decode-1'],
  define(command) {
    command
      .argument('<process...>', 'names of processes, as `dynamo status` shows them')
      .option('--deployment <name>', 'name of the deployment (default: the only one that runs)')
      .option('--json', 'print the result as JSON')
      .action(async (processes: string[], flags: { deployment?: string; json?: boolean }) => {
        const { runProcessAction } = await import('./process-action.ts');
        await runProcessAction('restart', processes, flags);
      });
  },
};
