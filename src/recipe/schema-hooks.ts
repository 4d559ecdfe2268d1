import { z } from 'zod';
import { duration, envMap } from '../yaml/schema-values.ts';

const command = z.union([z.string().min(1), z.array(z.string().min(1)).min(1)], {
  error: 'expected a command: one line for the shell, or a list of words',
});

const hook = z
  .union(
    [
      z.string().min(1),
      z.array(z.string().min(1)).min(1),
      z.strictObject({
        command: command.describe('One line for `/bin/sh`, or a list of words that no shell reads.'),
        timeout: duration.prefault('30s').describe('When it is killed with everything it started.'),
        env: envMap.prefault({}).describe('Environment, on top of what dynamo sets.'),
      }),
    ],
    { error: 'expected a command (a line, or a list of words), or a map with `command`, `timeout` and `env`' },
  )
  .meta({ id: 'Hook', description: 'A command, alone or with its deadline and environment.' });

export const hooks = z
  .strictObject({
    onReady: hook.optional().describe('Once a start is ready, once each start.'),
    onFailure: hook
      .optional()
      .describe(
        'When a start fails, and when a process of a running deployment has failed and is not restarted any more.',
      ),
    onStop: hook
      .optional()
      .describe('When a deployment that was ready is stopped, before anything drains. The stop waits for its end.'),
  })
  .meta({
    id: 'Hooks',
    description:
      'Commands run by the controller on the machine where `dynamo serve` was typed, in the folder of the recipe. They never fail a start or a stop.',
  });
