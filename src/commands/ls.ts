import type { CommandEntry } from './command.ts';

export const lsCommand: CommandEntry = {
  name: 'ls',
  summary: 'List the deployments of this machine',
  example: ['dynamo ls', 'dynamo ls --all --json'],
  define(command) {
    command
      .option('-a, --all', 'also those that are stopped')
      .option('--json', 'print them as JSON')
      .action(async (flags: { all?: boolean; json?: boolean }) => {
        const [{ readSnapshot }, { listDeploymentNames }, { renderTable }, { DynamoError }] = await Promise.all([
          import('../deployment/local-view.ts'),
          import('../deployment/state-dir.ts'),
          import('./table.ts'),
          import('../base/errors.ts'),
        ]);
        const snapshots = [];
        for (const name of listDeploymentNames()) {
          try {
            snapshots.push(await readSnapshot(name));
          } catch (error) {
            if (!(error instanceof DynamoError)) throw error;
            // A folder without a record is a start that never came to be; anything else is worth a line.
            if (error.code !== 'NO_DEPLOYMENT') process.stderr.write(`${name}: ${error.message}\n`);
          }
        }
        const shown = snapshots.filter((entry) => flags.all || (entry.state !== 'stopped' && entry.state !== 'failed'));
        if (flags.json) {
          const rows = shown.map(({ name, state, unattended, models, endpoint, startedAt }) => ({
            name,
            state,
            unattended,
            models,
            endpoint,
            startedAt,
          }));
          process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
          return;
        }
        if (shown.length === 0) {
          process.stdout.write(
            flags.all ? 'no deployments\n' : 'no deployment is running (dynamo ls --all lists stopped ones)\n',
          );
          return;
        }
        const rows = shown.map((entry) => [
          entry.name,
          entry.unattended ? `${entry.state}, unattended` : entry.state,
          entry.models.join(','),
          entry.endpoint,
        ]);
        process.stdout.write(`${renderTable(['NAME', 'STATE', 'MODEL', 'ENDPOINT'], rows).join('\n')}\n`);
      });
  },
};
