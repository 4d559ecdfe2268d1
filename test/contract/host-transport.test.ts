import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HostTransport } from '../../src/hosts/host-transport.ts';
import { LocalTransport } from '../../src/hosts/local-transport.ts';
import { SshTransport } from '../../src/hosts/ssh/ssh-transport.ts';
import { hasTestHosts, TestHosts } from '../helpers/test-hosts.ts';
import { tmpDir } from '../helpers/tmp-dir.ts';

interface Place extends AsyncDisposable {
  transport: HostTransport;
  /** A folder on the host. */
  dir: string;
  read(file: string): string;
  /** A Unix socket that answers every line in capitals. */
  echoSocket(): Promise<string>;
}

const ECHO = `const net = require('node:net'); const server = net.createServer((socket) => {
  socket.on('data', (chunk) => chunk.length === 5 ? socket.end() : socket.write(chunk.toString().toUpperCase())); socket.on('error', () => {}); });
server.listen(process.argv[1], () => console.log('up'));`;

async function localPlace(): Promise<Place> {
  const tmp = tmpDir();
  const { spawn } = await import('node:child_process');
  let child: ReturnType<typeof spawn> | undefined;
  return {
    transport: new LocalTransport(),
    dir: tmp.dir,
    read: (file) => readFileSync(file, 'utf8'),
    async echoSocket() {
      const file = path.join(tmp.dir, 'echo.sock');
      child = spawn(process.execPath, ['-e', ECHO, file], { stdio: ['ignore', 'pipe', 'inherit'] });
      await once(child.stdout!, 'data');
      return file;
    },
    async [Symbol.asyncDispose]() {
      child?.kill('SIGKILL');
      tmp[Symbol.dispose]();
    },
  };
}

async function sshPlace(): Promise<Place> {
  const net = await TestHosts.start(1);
  const [host] = net.hosts as [(typeof net.hosts)[0]];
  const transport = await SshTransport.connect(net.entry(host));
  return {
    transport,
    dir: host.run('mktemp -d').trim(),
    read: (file) => host.run(`cat '${file}'`),
    async echoSocket() {
      host.run(
        `setsid node -e "${ECHO.replaceAll('"', '\\"')}" /tmp/echo.sock >/tmp/echo.log 2>&1 </dev/null & while ! grep -q up /tmp/echo.log; do sleep 0.02; done`,
      );
      return '/tmp/echo.sock';
    },
    async [Symbol.asyncDispose]() {
      await transport[Symbol.asyncDispose]();
      await net[Symbol.asyncDispose]();
    },
  };
}

const places = [
  { name: 'this machine', make: localPlace, here: true },
  { name: 'a host over SSH', make: sshPlace, here: hasTestHosts },
];

describe.each(places)('a transport to $name', ({ make, here }) => {
  let place: Place;
  let transport: HostTransport;
  beforeAll(async () => {
    if (!here) return;
    place = await make();
    transport = place.transport;
  });
  afterAll(() => place?.[Symbol.asyncDispose]());

  const check = it.skipIf(!here);

  check('runs a command and tells its output and status apart', async () => {
    const answer = await transport.exec(['/bin/sh', '-c', 'echo out; echo err >&2; exit 3']);
    expect({ ...answer, stdout: answer.stdout.toString() }).toEqual({
      code: 3,
      signal: null,
      stdout: 'out\n',
      stderr: 'err\n',
    });
  });

  check('passes words as they are', async () => {
    const words = ["it's", '"', '$HOME', '`id`', 'a b', '', '\\', '*', 'line\nbreak', '!x', 'ü😀', '-n'];
    const { stdout } = await transport.exec([
      '/bin/sh',
      '-c',
      'for word; do printf "%s\\0" "$word"; done',
      'sh',
      ...words,
    ]);
    expect(stdout.toString().split('\0').slice(0, -1)).toEqual(words);
  });

  check('passes input and output byte by byte', async () => {
    const bytes = Buffer.from(Array.from({ length: 200_000 }, (_, index) => (index * 7) % 256));
    const { stdout } = await transport.exec(['cat'], { stdin: bytes });
    expect(stdout.equals(bytes)).toBe(true);
  });

  check('passes an environment, which no command line shows', async () => {
    const { stdout } = await transport.exec(
      ['/bin/sh', '-c', 'printf %s "$TOKEN"; for f in /proc/[0-9]*/cmdline; do tr "\\0" " " < "$f"; done 2>/dev/null'],
      { env: { TOKEN: "s3cr'et value" } },
    );
    expect(stdout.toString().startsWith("s3cr'et value")).toBe(true);
    expect(stdout.toString().split("s3cr'et")).toHaveLength(2);
  });

  check('says that there is no such command', async () => {
    const answer = await transport.exec(['no-such-command']);
    expect(answer.code).toBe(127);
    expect(answer.stderr).toContain('no-such-command');
  });

  check('says which signal ended a command', async () => {
    const { code, signal } = await transport.exec(['/bin/sh', '-c', 'kill -TERM $$']);
    expect({ code, signal }).toEqual({ code: null, signal: 'SIGTERM' });
  });

  check('gives a command up when its time is over', async () => {
    await expect(transport.exec(['sleep', '600'], { timeoutMs: 300 })).rejects.toMatchObject({
      code: 'HOST_UNREACHABLE',
      message: expect.stringContaining('`sleep` did not end within 0.3 s'),
    });
  });

  check('gives a command up when nobody waits any more', async () => {
    const cut = new AbortController();
    const answer = transport.exec(['sleep', '600'], { signal: cut.signal });
    cut.abort(new Error('enough'));
    await expect(answer).rejects.toThrow('enough');
  });

  check('runs twenty commands at once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => transport.exec(['/bin/sh', '-c', `sleep 0.05; echo ${index}`])),
    );
    expect(answers.map(({ stdout }) => Number(stdout))).toEqual(answers.map((_, index) => index));
  });

  check('speaks to a Unix socket', async () => {
    const socket = await transport.connectSocket(await place.echoSocket());
    for (const word of ['one', 'two']) {
      socket.write(word);
      const [chunk] = (await once(socket, 'data')) as [Buffer];
      expect(chunk.toString()).toBe(word.toUpperCase());
    }
    socket.write('leave');
    socket.resume();
    await once(socket, 'close'); // the other side has ended it
  });

  check('says that nobody listens on a socket', async () => {
    await expect(transport.connectSocket(path.join(place.dir, 'none.sock'))).rejects.toMatchObject({
      code: 'CONNECT_FAILED',
      message: expect.stringContaining('none.sock'),
    });
  });

  check('copies files whole, with their modes, into folders that it makes', async () => {
    const from = mkdtempSync('/tmp/dynamo-t-up-');
    try {
      const big = path.join(from, 'big');
      writeFileSync(big, Buffer.alloc(3_000_000, 'x'));
      writeFileSync(path.join(from, 'script'), '#!/bin/sh\necho runs\n');
      const seen: number[] = [];
      await transport.upload(
        [
          { from: big, to: `${place.dir}/deep/er/big`, mode: 0o600 },
          { from: path.join(from, 'script'), to: `${place.dir}/deep/script`, mode: 0o755 },
        ],
        (done, total) => seen.push(done / total),
      );
      expect(seen.at(-1)).toBe(1);
      expect(seen).toEqual(seen.toSorted((a, b) => a - b));
      expect(place.read(`${place.dir}/deep/er/big`)).toHaveLength(statSync(big).size);
      expect((await transport.exec([`${place.dir}/deep/script`])).stdout.toString()).toBe('runs\n');
      const { stdout } = await transport.exec(['find', place.dir, '-name', '*.tmp-*']);
      expect(stdout.toString()).toBe('');
    } finally {
      rmSync(from, { recursive: true });
    }
  });

  check('says where it may not write', async () => {
    const error = await transport.upload([{ from: process.execPath, to: '/dev/null/nowhere/file', mode: 0o600 }]).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ message: expect.stringContaining('/dev/null/nowhere') });
  });

  check('is not lost', () => {
    expect(transport.lost.aborted).toBe(false);
  });
});
