import { readFileSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import type { DeploymentSnapshot } from '../../src/deployment/snapshot.ts';
import { hasEtcd } from '../helpers/etcd-server.ts';
import { Fleet, named, pidsOf } from '../helpers/fleet.ts';
import { steadyLoad } from '../helpers/steady-load.ts';
import { hasTestHosts } from '../helpers/test-hosts.ts';

const fixtures = path.join(packageRoot, 'test', 'fixtures');
const PATIENT = 'startTimeout: 2m, restart: { initialBackoff: 50ms, maxBackoff: 1s, maxRestarts: 100 }';
/** A fake SGLang server that keeps the address of the first peer it met, as a program of the host. */
const group = (faults: string) => `
    engine: sglang
    replicas: 2
    gpus: 1
    command: [/run/bin/node, /run/bin/sglang.mjs]
    env: { DYNAMO_FLAG_CHECK: 'off', FAKE_FAULTS: '${faults}' }
    args: { page-size: 16 }
    ${PATIENT.replaceAll(', restart', '\n    restart')}`;

/** Two hosts with two GPUs each, a prefill and a decode worker on both: an agent alone sees half of the pairs. */
describe.skipIf(!hasTestHosts || !hasEtcd)(
  'workers that do not get on with the next life of a peer, over hosts',
  () => {
    let fleet: Fleet;
    let first: DeploymentSnapshot;
    beforeAll(async () => {
      const program = await build({
        entryPoints: [path.join(fixtures, 'engines', 'servers', 'sglang.ts')],
        ...{ bundle: true, platform: 'node', format: 'esm', write: false, logLevel: 'silent' },
      });
      // Nobody else is on these GPUs.
      const twoGpus = readFileSync(path.join(fixtures, 'bin', 'two-gpus', 'nvidia-smi'), 'utf8').replace(
        '\n',
        '\nFAKE_SMI_APPS=/dev/null\n',
      );
      fleet = await Fleet.start({
        hosts: 2,
        workers: `\n  prefill:${group('')}\n  decode:${group('stale-peer')}`,
      });
      for (const host of fleet.net.hosts) {
        host.run('cat > /run/bin/sglang.mjs', program.outputFiles![0]!.text);
        host.run('cat > /run/bin/nvidia-smi && chmod 755 /run/bin/nvidia-smi', twoGpus);
      }
      first = await fleet.served();
    });
    afterAll(() => fleet?.[Symbol.asyncDispose]());

    it('a prefill worker that comes back: decode workers of both hosts are restarted, one at a time, and nothing is lost', async () => {
      expect(new Set(first.processes.map(({ host, role }) => `${role} ${host}`))).toEqual(
        new Set(['prefill host-1', 'prefill host-2', 'decode host-1', 'decode host-2', 'frontend host-1']),
      );
      const since = Date.now();
      const traffic = steadyLoad(first.endpoint, 2);
      fleet.kill(named(first, 'prefill-0'));
      const after = await fleet.is('all to be ready anew', (view) => {
        const isNew = ['prefill-0', 'decode-0', 'decode-1'].every((name) => {
          const { pid } = named(view, name);
          return pid !== null && pid !== named(first, name).pid;
        });
        return isNew && view.state === 'ready' && view.pairs.every(({ state }) => state === 'proven');
      });
      expect(await traffic.end()).toEqual([]);
      expect(pidsOf(after, 'prefill-0', 'decode-0', 'decode-1')).toEqual(
        pidsOf(first, 'prefill-0', 'decode-0', 'decode-1'),
      );
      const told = fleet.events(since).filter((line) => /^(recycle|published) decode/.test(line));
      expect(told.map((line) => line.split(' ')[0])).toEqual(['recycle', 'published', 'recycle', 'published']);
      expect(new Set(told.map((line) => line.split(' ')[1]))).toEqual(new Set(['decode-0', 'decode-1']));
    });

    it('stops without a trace on any host', () => fleet.stopsClean());
  },
);
