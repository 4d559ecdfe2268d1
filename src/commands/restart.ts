import type { CommandEntry } from './command.ts';

export const restartCommand: CommandEntry = {
  name: 'restart',
  summary: 'Drain a process, then start it anew; --rolling: one after the other',
  example: ['dynamo restart decode-1', 'dynamo restart --rolling', 'dynamo restart --rolling prefill decode'],
  define(command) {
    command
      .argument(
        '[process...]',
        'names of processes, as `dynamo status` shows them; with --rolling also roles and hosts',
      )
      .option('--rolling', 'all of them (default: every process), each ready and proven before the next is touched')
      .option('--deployment <name>', 'name of the deployment (default: the only one that runs)')
      .option('--json', 'print the result as JSON')
      .action(async (processes: string[], flags: { deployment?: string; json?: boolean; rolling?: boolean }) => {
        const { runProcessAction, runRollingRestart } = await import('./process-action.ts');
        if (flags.rolling) await runRollingRestart(processes, flags);
        else await runProcessAction('restart', processes, flags);
      });
  },
};
