import type { CommandEntry } from './command.ts';

export const scaleCommand: CommandEntry = {
  name: 'scale',
  summary: 'Give worker groups another number of workers while everything else goes on',
  example: [
    'dynamo scale prefill=3 decode=2',
    'dynamo scale decode=+1',
    'dynamo scale Qwen/Qwen3-8B/decode=2 --deployment two-models',
  ],
  define(command) {
    command
      .argument(
        '<group=N...>',
        'prefill=N, decode=N or aggregated=N; MODEL/ROLE=N with several models; +N and -N count from now',
      )
      .option('--deployment <name>', 'name of the deployment (default: the only one that runs)')
      .option('--json', 'print the result as JSON')
      .action(async (targets: string[], flags: { deployment?: string; json?: boolean }) => {
        const { runScale } = await import('./scale-run.ts');
        await runScale(targets, flags);
      });
  },
};
