import net from 'node:net';
import path from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { LocalTransport } from '../../../src/hosts/local-transport.ts';
import { AGENT_THERE, startAgentArgv } from '../../../src/supervise/agent-greeting.ts';
import { tmpDir } from '../../helpers/tmp-dir.ts';

const AGENT = ['/bin/sh', '-c', 'echo "hello from $0" >&3; echo a log line', 'agent'];

describe('starting an agent by a shell', () => {
  const tmp = tmpDir();
  let server: net.Server | undefined;
  afterEach(() => server?.close());
  afterAll(() => tmp[Symbol.dispose]());
  const start = (unless?: string) =>
    new LocalTransport('local').exec(startAgentArgv(path.join(tmp.dir, 'logs', 'agent.log'), AGENT, unless));

  it('answers with its greeting, and keeps its output for the log', async () => {
    const { code, stdout } = await start();
    expect([code, stdout.toString()]).toEqual([0, 'hello from agent\n']);
  });

  it('starts none where one has its socket', async () => {
    const socket = path.join(tmp.dir, 'agent.sock');
    expect((await start(socket)).code).toBe(0); // nobody there
    server = net.createServer();
    await new Promise<void>((resolve) => server!.listen(socket, resolve));
    const { code, stdout } = await start(socket);
    expect([code, stdout.toString()]).toEqual([AGENT_THERE, '']);
  });
});
