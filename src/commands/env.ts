import type { CommandEntry } from './command.ts';

export const envCommand: CommandEntry = {
  name: 'env',
  summary: 'Print every setting: its value, and where it comes from',
  example: ['dynamo env', 'dynamo env --json'],
  define(command) {
    command.option('--json', 'print them as JSON').action(async (flags: { json?: boolean }) => {
      const [{ listSettings }, { renderTable }] = await Promise.all([import('./settings.ts'), import('./table.ts')]);
      const settings = listSettings(process.env);
      if (flags.json) {
        process.stdout.write(`${JSON.stringify({ schemaVersion: 1, settings }, null, 2)}\n`);
        return;
      }
      const rows = settings.map(({ name, value, source }) => [name, value ?? '-', source]);
      process.stdout.write(`${renderTable(['SETTING', 'VALUE', 'FROM'], rows).join('\n')}\n`);
    });
  },
};
