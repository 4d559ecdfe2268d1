import type { CommandEntry } from './command.ts';

export const drainCommand: CommandEntry = {
  name: 'drain',
  summary: 'Take a process, or all of a host, out of service without losing a request; `restart` brings it back',
  example: ['dynamo drain decode-1', 'dynamo drain gpu-host-2'],
  define(command) {
    command
      .argument('<process...>', 'names of processes, as `dynamo status` shows them, or of hosts')
      .option('--deployment <name>', 'name of the deployment (default: the only one that runs)')
      .option('--json', 'print the result as JSON')
      .action(async (processes: string[], flags: { deployment?: string; json?: boolean }) => {
        const { runProcessAction } = await import('./process-action.ts');
        await runProcessAction('drain', processes, flags);
      });
  },
};
