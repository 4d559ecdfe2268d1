import type { CommandEntry } from './command.ts';

export const versionCommand: CommandEntry = {
  name: 'version',
  summary: 'Print the versions that matter in a report',
  example: ['dynamo version', 'dynamo version --json'],
  define(command) {
    command.option('--json', 'print them as JSON').action(async (flags: { json?: boolean }) => {
      const { describeVersion, renderVersion } = await import('./version-text.ts');
      const version = describeVersion();
      process.stdout.write(flags.json ? `${JSON.stringify(version, null, 2)}\n` : renderVersion(version));
    });
  },
};
