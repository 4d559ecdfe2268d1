import type { CommandEntry } from './command.ts';

/** Started by a controller, one a host and deployment. */
export const agentCommand: CommandEntry = {
  name: 'agent',
  summary: 'Run the agent of a host (started by the controller)',
  hidden: true,
  define(command) {
    command
      .requiredOption('--deployment <name>', 'name of the deployment')
      .requiredOption('--dir <folder>', 'state folder of the deployment')
      .requiredOption('--host <name>', 'name of this host in the plan')
      .option('--greet', 'say on descriptor 3 when it listens, or why it does not')
      .action(async (options: { deployment: string; dir: string; host: string; greet?: boolean }) => {
        const [{ runAgent }, { createLogger }, { greetStarter }, { DynamoError }] = await Promise.all([
          import('../agent/agent.ts'),
          import('../base/log.ts'),
          import('../supervise/agent-greeting.ts'),
          import('../base/errors.ts'),
        ]);
        const ended = new AbortController();
        for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => ended.abort());
        process.on('SIGHUP', () => {});
        const log = createLogger({ process: `agent ${options.host}`, deployment: options.deployment });
        const greet = options.greet ? greetStarter : () => {};
        try {
          await runAgent({
            ...options,
            log,
            onListening: () => greet({ listening: true, pid: process.pid }),
            signal: ended.signal,
          });
        } catch (error) {
          if (error instanceof DynamoError) greet({ listening: false, error: error.toJSON() });
          throw error;
        }
      });
  },
};
