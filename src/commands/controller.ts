import { text } from 'node:stream/consumers';
import type { CommandEntry } from './command.ts';

/** Started by `serve`; reads its start request from standard input, greets on standard output, logs to standard error. */
export const controllerCommand: CommandEntry = {
  name: 'controller',
  summary: 'Run the controller of a deployment (started by `serve`)',
  hidden: true,
  define(command) {
    command
      .requiredOption('--deployment <name>', 'name of the deployment')
      .requiredOption('--dir <folder>', 'its state folder')
      .action(async (options: { deployment: string; dir: string }) => {
        const [{ runController }, { createLogger }, { DynamoError, messageOf }] = await Promise.all([
          import('../controller/controller.ts'),
          import('../base/log.ts'),
          import('../base/errors.ts'),
        ]);
        const request = JSON.parse(await text(process.stdin)) as import('../supervise/protocol.ts').StartRequest | null;
        const greet = (greeting: import('../supervise/protocol.ts').ControllerGreeting) => {
          process.stdout.on('error', () => {}); // the client has gone; the deployment is not its property
          process.stdout.write(`${JSON.stringify(greeting)}\n`);
        };
        const ended = new AbortController();
        for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => ended.abort());
        process.on('SIGHUP', () => {});
        let listening = false;
        try {
          await runController({
            deployment: options.deployment,
            dir: options.dir,
            request: request ?? undefined,
            log: createLogger({ process: 'controller', deployment: options.deployment }),
            onListening: () => {
              listening = true;
              greet({ listening: true, pid: process.pid });
            },
            signal: ended.signal,
          });
        } catch (error) {
          if (!listening && error instanceof DynamoError) greet({ listening: false, error: error.toJSON() });
          else if (!listening) {
            greet({
              listening: false,
              error: {
                code: 'START_LOST',
                message: messageOf(error),
                hint: 'This is a bug in dynamo; please report it.',
                details: [],
                exit: 1,
              },
            });
          }
          throw error;
        }
      });
  },
};
