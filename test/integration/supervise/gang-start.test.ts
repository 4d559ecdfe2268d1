import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { tryLock } from '../../../src/supervise/locks.ts';
import { fixtureBin } from '../../helpers/fixture-bin.ts';
import { freePort } from '../../helpers/free-port.ts';
import { TestDeployment } from '../../helpers/test-deployment.ts';
import { tmpDir } from '../../helpers/tmp-dir.ts';
import { trivialProcess } from '../../helpers/trivial-plan.ts';

let locks: ReturnType<typeof tmpDir>;
let demo: TestDeployment;
beforeEach(() => {
  locks = tmpDir();
  process.env['DYNAMO_LOCK_DIR'] = locks.dir;
  demo = new TestDeployment();
});
afterEach(async () => {
  await demo[Symbol.asyncDispose]();
  delete process.env['DYNAMO_LOCK_DIR'];
  locks[Symbol.dispose]();
});

const waitingWorker = async (name: string, file: string, overrides = {}) => {
  const port = await freePort();
  return trivialProcess(name, {
    argv: fixtureBin('ready-while.mjs', String(port), file),
    ports: { http: port },
    url: `http://127.0.0.1:${port}`,
    readiness: [{ kind: 'http', path: '/health' }],
    ...overrides,
  });
};

describe('a start that cannot succeed takes everything back', () => {
  it('ends with the exit status and last lines of the process that ended', async () => {
    await demo.start([
      trivialProcess('worker-0'),
      await waitingWorker('worker-1', demo.file('never'), { argv: fixtureBin('exit-code.sh', '3') }),
    ]);
    const { error, generation } = await demo.failed();
    expect(error).toMatchObject({
      code: 'EXITED_EARLY',
      exit: 5,
      message: 'worker-1 ended while starting: exit status 3',
    });
    expect(error?.details).toEqual(['leaving with 3', expect.stringMatching(/^crash report: .*worker-1/)]);
    expect(generation).toBe(1);
  });

  it('says what was waited for at the deadline, and the last line', async () => {
    // It answers from the beginning.
    await using server = http.createServer((_, response) => response.writeHead(503).end('warming up'));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    await demo.start([
      trivialProcess('worker-0'),
      trivialProcess('worker-1', {
        argv: ['/bin/sh', '-c', 'echo loading weights; exec sleep 600'],
        url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
        readiness: [{ kind: 'http', path: '/health' }],
        startTimeoutMs: 4_000,
      }),
    ]);
    const { error } = await demo.failed();
    expect(error?.code).toBe('NOT_READY');
    expect(error?.message).toMatch(
      /^worker-1 was not ready within 4\.0 s: waited for GET \/health to answer 200 \(GET \/health answers 503 warming up\)$/,
    );
    expect(error?.hint).toMatch(/^Its last line(, [^,]+ before,)? was: loading weights$/);
  });

  it('does not commit when a process of an earlier stage has ended meanwhile', async () => {
    const ready = demo.file('ready');
    const leave = demo.file('leave');
    const processes = [
      trivialProcess('worker-0', { argv: fixtureBin('exit-code.sh', '9', leave) }),
      await waitingWorker('worker-1', ready),
    ];
    await demo.start(processes, { stages: [['worker-0'], ['worker-1']] });
    await demo.process('worker-1', 'starting', ({ state }) => state === 'starting');
    writeFileSync(leave, '');
    await demo.process('worker-0', 'failed', ({ state }) => state === 'failed');
    writeFileSync(ready, '');
    const { error } = await demo.failed();
    expect(error).toMatchObject({ code: 'EXITED_EARLY', message: 'worker-0 ended while starting: exit status 9' });
  });

  it('names a command that is not installed, with the hint', async () => {
    await demo.start([
      trivialProcess('worker-0'),
      trivialProcess('worker-1', { argv: ['no-such-engine', 'serve'], installHint: 'pip install it' }),
    ]);
    const { error } = await demo.failed();
    expect(error).toMatchObject({
      code: 'COMMAND_NOT_FOUND',
      hint: 'pip install it',
      message: 'command not found: no-such-engine',
    });
    expect(demo.events('published')).toEqual([]);
  });

  it('says which folder a process could not be started in', async () => {
    await demo.start([trivialProcess('worker-0', { cwd: demo.file('missing') })]);
    const { error } = await demo.failed();
    expect(error?.message).toContain(demo.file('missing'));
  });

  it('names every missing secret and shows none', async () => {
    const secret = demo.file('secret');
    writeFileSync(secret, 'hf_do_not_show\n');
    await demo.start([
      trivialProcess('worker-0', { env: { TOKEN: { fromFile: secret }, OTHER: { fromFile: demo.file('missing') } } }),
      trivialProcess('worker-1', { env: { TOKEN: { fromEnv: 'DYNAMO_TEST_NO_SUCH_VARIABLE' } } }),
    ]);
    const { error } = await demo.failed();
    expect(error?.code).toBe('SECRET_MISSING');
    expect(error?.details).toEqual([
      `worker-0: OTHER: cannot read ${demo.file('missing')} (ENOENT)`,
      'worker-1: TOKEN: the variable DYNAMO_TEST_NO_SUCH_VARIABLE is not set',
    ]);
    expect(readFileSync(path.join(demo.dir, 'deployment.json'), 'utf8')).not.toContain('hf_do_not_show');
  });
});

describe('GPUs', () => {
  const gpuFile = () => path.join(locks.dir, 'dynamo', 'gpu-0.lock');

  it('are refused while a stranger holds the lock, and nothing starts', async () => {
    mkdirSync(path.dirname(gpuFile()));
    const stranger = tryLock(gpuFile(), { holder: 'training job of bob', hostWide: true });
    try {
      await demo.start([trivialProcess('worker-0'), trivialProcess('worker-1', { gpus: [0] })]);
      const { error } = await demo.failed();
      expect(error).toMatchObject({
        code: 'GPU_UNAVAILABLE',
        message: 'GPU 0 is reserved by training job of bob',
        exit: 4,
      });
      expect(error?.details).toEqual(['worker-1 wants GPU 0']);
      expect(existsSync(path.join(demo.agentDir, 'runs', 'worker-0'))).toBe(false);
    } finally {
      stranger?.release();
    }
  });

  it('serve one deployment after another, never two at once', async () => {
    await using other = new TestDeployment('other');
    await demo.start([trivialProcess('worker-0', { gpus: [0] })]);
    await demo.ready();
    await other.start([trivialProcess('worker-0', { gpus: [0] })]);
    const { error } = await other.failed();
    expect(error?.message).toBe('GPU 0 is reserved by trivial (worker-0)');
    await demo.stop();
    await other.start();
    expect((await other.ready()).generation).toBe(2);
  });
});
