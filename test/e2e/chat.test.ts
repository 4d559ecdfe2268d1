import { spawnSync } from 'node:child_process';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { Sandbox } from '../helpers/deployment-sandbox.ts';
import { LongCommand } from '../helpers/run-cli.ts';
import { hasTmux, TmuxTerminal } from '../helpers/tmux-terminal.ts';
import { waitFor } from '../helpers/until.ts';

const dynamo = path.join(packageRoot, 'bin', 'dynamo');
let box: Sandbox;

beforeAll(async () => {
  box = new Sandbox();
  const { code, stderr } = await box.run('serve', 'quickstart', '--set', 'frontend.port=auto', '--detach');
  if (code !== 0) throw new Error(stderr);
});
afterAll(() => box[Symbol.asyncDispose]());

const MEASURED = /TTFT \S+ m?s · \S+ tok\/s · \d+ prompt tokens, \d+ cached · \d+ generated .*prefill-\d → decode-\d/;

describe('dynamo chat, one prompt', () => {
  it('prints the answer on standard output, and what was measured on standard error', async () => {
    const { code, stdout, stderr } = await box.run('chat', 'quickstart', 'Hello', 'there', '--max-tokens', '12');
    expect(stderr).toMatch(MEASURED);
    expect(stdout.trim()).not.toBe('');
    expect(stdout).not.toContain('TTFT');
    expect(stderr).not.toContain('\u001b');
    expect(code).toBe(0);
  });

  it('reads standard input, alone and in the place of `-`', () => {
    const ask = (input: string, ...args: string[]) =>
      JSON.parse(
        spawnSync(dynamo, ['chat', ...args, '--max-tokens', '4', '--json'], {
          input,
          env: { ...process.env, ...box.env },
          encoding: 'utf8',
        }).stdout,
      ) as { text: string; usage: { promptTokens: number }; servedBy: { decode: string } };
    const short = ask('Hi');
    expect(short.text).not.toBe('');
    expect(short.servedBy.decode).toMatch(/^decode-/);
    expect(ask('Hi', 'quickstart', '-')).toMatchObject({ usage: short.usage });
    const long = ask('word '.repeat(200), 'quickstart', 'Sum this up:', '-');
    expect(long.usage.promptTokens).toBeGreaterThan(short.usage.promptTokens + 100);
  });

  it.each([
    [['chat', 'quickstart', 'hi', '--model', 'nosuch'], 2, 'is not served here'],
    [['chat', 'nosuch', 'hi'], 7, 'Known on this machine: quickstart'],
    [['chat', 'quickstart', 'hi', '--max-tokens', 'x'], 2, '--max-tokens: x is not'],
    [['chat', '--url', 'http://127.0.0.1:9', 'hi'], 7, 'cannot reach'],
    [['chat', 'quickstart'], 2, 'there is no prompt'],
    [['chat', 'quickstart', 'hi', '--api-key-env', 'NOT_SET_AT_ALL'], 4, 'NOT_SET_AT_ALL is not set'],
  ])('%j ends with %i', async (args, status, message) => {
    const { code, stderr } = await box.run(...args);
    expect(stderr).toContain(message);
    expect(code).toBe(status);
  });
});

/** A server that streams `chunks` and then does as told. */
async function fakeServer(chunks: readonly string[], end: 'done' | 'cut' | 'hang' | 'error') {
  const closed = Promise.withResolvers<void>();
  const seen: http.IncomingHttpHeaders[] = [];
  const server = http.createServer((request, response) => {
    if (request.url === '/v1/models') return response.end(JSON.stringify({ data: [{ id: 'fake' }] }));
    seen.push(request.headers);
    request.resume();
    response.on('close', () => closed.resolve());
    if (end === 'error') return response.writeHead(500).end('{"error":{"message":"no GPU left"}}');
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const content of chunks) response.write(`data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`);
    if (end === 'done') response.end('data: [DONE]\n\n');
    // Not before all of the question has come: closing with unread bytes would be a reset.
    if (end === 'cut') request.on('end', () => response.write(': cut\n\n', () => response.destroy()));
    return undefined;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const dispose = () => {
    server.closeAllConnections();
    server.close();
  };
  return { url: `http://127.0.0.1:${port}/v1`, seen, closed: closed.promise, [Symbol.dispose]: dispose };
}

describe('dynamo chat, with any server', () => {
  it('needs no token counts and no headers of ours, and sends the key', async () => {
    using server = await fakeServer(['Hel', 'lo'], 'done');
    const env = { ...box.env, MY_KEY: 'k-123' };
    const command = new LongCommand(['chat', '--url', server.url, 'hi', '--api-key-env', 'MY_KEY'], env);
    expect(await command.exited).toBe(0);
    expect(command.stdout).toBe('Hello\n');
    expect(command.stderr).toMatch(/^TTFT \S+ m?s$/m);
    expect(server.seen[0]?.authorization).toBe('Bearer k-123');
  });

  it('keeps what came and says that the answer broke off', async () => {
    using server = await fakeServer(['Half'], 'cut');
    const { code, stdout, stderr } = await box.run('chat', '--url', server.url, 'hi');
    expect(stdout).toContain('Half');
    expect(stderr).toContain('broke off');
    expect(code).toBe(7);
  });

  it('shows the reason of a refusal', async () => {
    using server = await fakeServer([], 'error');
    const { code, stderr } = await box.run('chat', '--url', server.url, 'hi');
    expect(stderr).toContain('answered 500: no GPU left');
    expect(code).toBe(7);
  });

  it('ends the request with a signal', async () => {
    using server = await fakeServer(['Slow'], 'hang');
    const command = box.start('chat', '--url', server.url, 'hi');
    await command.readUntil(/Slow/);
    command.signal('SIGINT');
    await server.closed;
    expect(await command.exited).toBe(0);
    expect(command.stderr).toContain('cut off');
  });
});

describe.skipIf(!hasTmux)('dynamo chat, a conversation', () => {
  const terminal = (args: string[], env: NodeJS.ProcessEnv = {}) =>
    new TmuxTerminal(['chat', ...args], { ...box.env, ...env }, { columns: 80, rows: 24 });

  it('goes on, remembers, forgets, and leaves with Ctrl-C', async () => {
    using screen = terminal(['--max-tokens', '8']);
    await screen.shows(/mock-model at [\s\S]*^>$/m);
    screen.press('Hello', 'Enter');
    const first = await screen.shows(/TTFT [\s\S]*^>$/m);
    const tokens = (text: string) => [...text.matchAll(/(\d+)\s+prompt/g)].map((match) => Number(match[1]));
    screen.press('And now?', 'Enter');
    const second = await waitFor('a second answer', () => {
      const found = tokens(screen.screen());
      return found.length === 2 ? found : undefined;
    });
    expect(second[1]).toBeGreaterThan(tokens(first)[0]!);
    screen.press('/clear', 'Enter', 'Hello', 'Enter');
    const third = await waitFor('a third answer', () => {
      const found = tokens(screen.everything());
      return found.length === 3 ? found : undefined;
    });
    expect(third[2]).toBe(third[0]);
    screen.press('C-c');
    expect(await screen.exitStatus()).toBe(0);
  });

  it('cuts an answer off with Ctrl-C and stays', async () => {
    using server = await fakeServer(['Slow\u001b[2J'], 'hang');
    using screen = terminal(['--url', server.url]);
    await screen.shows(/^>$/m);
    screen.press('Hello', 'Enter');
    await screen.shows(/Slow\[2J/);
    screen.press('C-c');
    await server.closed;
    await screen.shows(/cut off[\s\S]*^>$/m);
    screen.press('C-d');
    expect(await screen.exitStatus()).toBe(0);
  });

  it('says what failed and goes on', async () => {
    using server = await fakeServer([], 'error');
    using screen = terminal(['--url', server.url]);
    await screen.shows(/^>$/m);
    screen.press('Hello', 'Enter');
    await screen.shows(/error: .* answered 500[\s\S]*^>$/m);
    screen.press('/exit', 'Enter');
    expect(await screen.exitStatus()).toBe(0);
  });
});
