import type { CommandEntry } from './command.ts';

/** Started over SSH by a controller whose only host has the discovery records. One request on standard input, one answer. */
export const recordsCommand: CommandEntry = {
  name: 'records',
  summary: 'Read and write the commit records that lie on this host (started over SSH)',
  hidden: true,
  define(command) {
    command.action(async () => {
      const [{ answerRecords }, { text }] = await Promise.all([
        import('../discovery/records-request.ts'),
        import('node:stream/consumers'),
      ]);
      const request = JSON.parse(await text(process.stdin)) as Parameters<typeof answerRecords>[0];
      process.stdout.write(JSON.stringify(await answerRecords(request)));
    });
  },
};
