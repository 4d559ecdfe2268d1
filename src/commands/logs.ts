import type { CommandEntry } from './command.ts';
import type { LogFlags } from './logs-run.ts';

export const logsCommand: CommandEntry = {
  name: 'logs',
  summary: 'Print what the processes of a deployment wrote, in order of time',
  example: ['dynamo logs', 'dynamo logs quickstart decode-0 -f', 'dynamo logs --since 10m --grep "error|warn"'],
  define(command) {
    command
      .argument('[name]', 'name of the deployment (default: the only one that runs)')
      .argument('[process...]', 'processes to show (default: all; also `controller` and `agent-local`)')
      .option('-f, --follow', 'go on printing what is written')
      .option('-n, --tail <lines>', 'newest lines of each process (default: 20, with --since or --until all)')
      .option('--since <time>', 'what was written since then: `10m` ago, or `2026-01-31T12:00:00`')
      .option('--until <time>', 'what was written up to then')
      .option('--grep <pattern>', 'only lines that match the regular expression; any case if it is all lower case')
      .option('-t, --timestamps', 'lead each line by its time of arrival; ~ where it is only known roughly')
      .option('--json', 'print one JSON object a line')
      .action(async (name: string | undefined, processes: string[], flags: LogFlags) => {
        const { runLogs } = await import('./logs-run.ts');
        await runLogs(name, processes, flags);
      });
  },
};
