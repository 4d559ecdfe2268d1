import { once } from 'node:events';
import net from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { findStranger } from '../../../src/supervise/port-strangers.ts';
import { ShimProcess } from '../../../src/supervise/shim-process.ts';
import { tmpDir } from '../../helpers/tmp-dir.ts';
import { waitFor } from '../../helpers/until.ts';

let tmp: ReturnType<typeof tmpDir>;
let shim: ShimProcess | undefined;
beforeEach(() => {
  tmp = tmpDir();
});
afterEach(async () => {
  await shim?.terminate(0);
  tmp[Symbol.dispose]();
});

it('a stranger is found while helpers of a starting engine come and go', async () => {
  const stranger = net.createServer().listen(0, '127.0.0.1');
  await once(stranger, 'listening');
  const { port } = stranger.address() as net.AddressInfo;
  try {
    shim = await ShimProcess.prepare({
      ...{ runDir: `${tmp.dir}/run`, runId: `strangers-${process.pid}`, cwd: null, lockFds: [] },
      argv: ['/bin/sh', '-c', 'while :; do (:) & (:) & wait; done'],
      env: { ...process.env, DYNAMO_RUN_ID: `strangers-${process.pid}` },
      logFile: `${tmp.dir}/log`,
    });
    shim.launch();
    await waitFor('the engine', () => shim!.enginePid);
    const looks = Array.from({ length: 30 }, async () =>
      findStranger(shim!.identity, '127.0.0.1', [port], new AbortController().signal),
    );
    expect((await Promise.all(looks)).map((found) => found?.holder?.pid)).toEqual(looks.map(() => process.pid));
  } finally {
    stranger.close();
  }
});
