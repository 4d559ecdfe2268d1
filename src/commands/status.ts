import type { CommandEntry } from './command.ts';

export const statusCommand: CommandEntry = {
  name: 'status',
  summary: 'Show what a deployment does: processes, pairs, restarts and their reasons',
  example: ['dynamo status', 'dynamo status quickstart --json', 'dynamo status --watch'],
  define(command) {
    command
      .argument('[name]', 'name of the deployment (default: the only one that runs)')
      .option('-w, --watch', 'go on showing it, full-screen on a terminal; Ctrl-C or q leaves')
      .option('--no-tui', 'with --watch: print lines, also on a terminal')
      .option('--json', 'print the snapshot as JSON; with --watch one object a line')
      .action(async (name: string | undefined, flags: { json?: boolean; watch?: boolean; tui?: boolean }) => {
        if (flags.watch) {
          const { runWatch } = await import('./watch-run.ts');
          await runWatch(name, flags);
          return;
        }
        const [{ readSnapshot, theOnlyDeployment }, { renderStatus }] = await Promise.all([
          import('../deployment/local-view.ts'),
          import('./status-text.ts'),
        ]);
        const snapshot = await readSnapshot(name ?? theOnlyDeployment());
        process.stdout.write(flags.json ? `${JSON.stringify(snapshot, null, 2)}\n` : renderStatus(snapshot));
      });
  },
};
