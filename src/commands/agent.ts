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
      .action(async (options: { deployment: string; dir: string; host: string }) => {
        const [{ runAgent }, { createLogger }] = await Promise.all([
          import('../agent/agent.ts'),
          import('../base/log.ts'),
        ]);
        const ended = new AbortController();
        for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => ended.abort());
        process.on('SIGHUP', () => {});
        const log = createLogger({ process: `agent ${options.host}`, deployment: options.deployment });
        await runAgent({ ...options, log, signal: ended.signal });
      });
  },
};
