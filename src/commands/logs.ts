import type { CommandEntry } from './command.ts';

export const logsCommand: CommandEntry = {
  name: 'logs',
  summary: 'Print what the processes of a deployment wrote',
  example: ['dynamo logs', 'dynamo logs quickstart decode-0 -f'],
  define(command) {
    command
      .argument('[name]', 'name of the deployment (default: the only one that runs)')
      .argument('[process...]', 'processes to show (default: all; also `controller` and `agent-local`)')
      .option('-f, --follow', 'go on printing what is written')
      .option('-n, --tail <lines>', 'last lines of each to begin with', '20')
      .action(async (name: string | undefined, processes: string[], flags: { follow?: boolean; tail: string }) => {
        const { runLogs } = await import('./logs-run.ts');
        await runLogs(name, processes, flags);
      });
  },
};
