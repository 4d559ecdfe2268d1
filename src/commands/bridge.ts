import type { CommandEntry } from './command.ts';

/** Started over SSH where the server does not forward to Unix sockets. Says `+` once connected. */
export const bridgeCommand: CommandEntry = {
  name: 'bridge',
  summary: 'Connect standard input and output with a Unix socket (started over SSH)',
  hidden: true,
  define(command) {
    command.argument('<socket>', 'path of the socket').action(async (file: string) => {
      const [{ connectSocket }, { pipeline }] = await Promise.all([
        import('../base/unix-socket.ts'),
        import('node:stream/promises'),
      ]);
      const socket = await connectSocket(file);
      socket.setNoDelay(true);
      process.stdout.write('+');
      // Whichever side ends, ends both: half a connection is of no use to RPC.
      await Promise.race([pipeline(process.stdin, socket), pipeline(socket, process.stdout)]).catch(() => {});
      socket.destroy();
    });
  },
};
