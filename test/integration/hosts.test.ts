import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { listGpus } from '../../src/hosts/gpus.ts';
import { collectLocalFacts } from '../../src/hosts/local-facts.ts';
import { portHolder } from '../../src/hosts/port-holder.ts';

const linux = process.platform === 'linux';

async function listen(host: string): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

/** Puts a program called nvidia-smi first on PATH. */
function fakeNvidiaSmi(script: string): void {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'dynamo-smi-'));
  const before = process.env['PATH'];
  writeFileSync(path.join(folder, 'nvidia-smi'), `#!/bin/sh\n${script}\n`);
  chmodSync(path.join(folder, 'nvidia-smi'), 0o755);
  process.env['PATH'] = `${folder}:${before}`;
  onTestFinished(() => {
    process.env['PATH'] = before;
    rmSync(folder, { recursive: true, force: true });
  });
}

describe.runIf(linux)('facts of this host', () => {
  it('know its processors, memory, boot, ports and programs', async () => {
    const port = await listen('127.0.0.1');
    const facts = await collectLocalFacts({ commands: ['sh', 'no-such-program-here'] });
    expect(facts).toMatchObject({ name: 'local', platform: 'linux', commands: { 'no-such-program-here': null } });
    expect(facts.commands['sh']).toMatch(/\/sh$/);
    expect(facts.cpus).toBeGreaterThan(0);
    expect(facts.memoryBytes).toBeGreaterThan(1024 ** 2);
    expect(facts.bootId).toMatch(/^[0-9a-f-]{36}$/);
    expect(facts.listeningPorts).toContain(port);
    expect(facts.ephemeralPorts.first).toBeLessThan(facts.ephemeralPorts.last);
  });

  it.each(['127.0.0.1', '::1'])('name who listens on a port of %s', async (host) => {
    const port = await listen(host);
    expect(portHolder(port)).toMatchObject({ pid: process.pid, command: expect.stringContaining('node') });
  });

  it('name nobody where nobody listens', () => {
    expect(portHolder(1)).toBeUndefined();
  });

  it('list GPUs, and none when nvidia-smi fails or hangs', async () => {
    fakeNvidiaSmi('echo "0, GPU-x, 1000, 10, NVIDIA Test, Edition"');
    expect(await listGpus()).toMatchObject([{ index: 0, name: 'NVIDIA Test, Edition' }]);
    fakeNvidiaSmi('echo "0, GPU-x, 1000, 10, NVIDIA Test"; exit 9');
    expect(await listGpus()).toEqual([]);
    fakeNvidiaSmi('exec sleep 60');
    expect(await listGpus(100)).toEqual([]);
  });
});
