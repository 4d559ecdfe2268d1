import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Sandbox } from '../helpers/deployment-sandbox.ts';
import { hasEtcd } from '../helpers/etcd-server.ts';
import { Fleet } from '../helpers/fleet.ts';
import type { TestHost } from '../helpers/test-host.ts';
import { hasTestHosts } from '../helpers/test-hosts.ts';
import { waitFor } from '../helpers/until.ts';

describe.skipIf(!hasTestHosts || !hasEtcd)(
  'a deployment on other hosts whose launcher does not know it any more',
  () => {
    let fleet: Fleet;
    let elsewhere: Sandbox;
    beforeAll(async () => {
      fleet = await Fleet.start({ hosts: 2, workers: '{ aggregated: { replicas: 2, startTimeout: 3m } }' });
    });
    afterAll(() => fleet?.[Symbol.asyncDispose]());
    beforeEach(() => {
      elsewhere = new Sandbox();
    });
    afterEach(() => elsewhere?.[Symbol.asyncDispose]());

    const stop = (box: Sandbox, ...more: string[]) => box.run('stop', 'fleet', '--hosts', fleet.hostsFile, ...more);
    const folder = () => fleet.box.deploymentDir('fleet');

    it('its state folder was deleted while it ran: found on its hosts by what agents wrote there, and stopped', async () => {
      await fleet.served();
      // It is written to meanwhile.
      rmSync(folder(), { recursive: true, maxRetries: 20, retryDelay: 50 });
      expect((await fleet.box.run('stop', 'fleet')).stderr).toContain('[NO_DEPLOYMENT]');
      const { code, stdout, stderr } = await stop(fleet.box);
      expect(code, stderr).toBe(0);
      expect(stderr).toMatch(/^host-1: fleet, generation 1, committed, started by \S+: aggregated-0, frontend$/m);
      expect(stderr).toMatch(/^host-2: fleet, generation 1, committed, started by \S+: aggregated-1$/m);
      expect(stderr).toMatch(/^this machine: ended \d+ of the processes that a lost folder had started$/m);
      expect(stdout).toBe('fleet is stopped; nothing is left\n');
      await fleet.nothingLeft();
      // Nothing is there for a second time, and the name is free.
      expect((await stop(fleet.box)).stdout).toBe('fleet was not running\n');
      await fleet.served();
      await fleet.stopsClean();
    });

    it('another machine started it: only with --yes, also while one host is away; the first launcher does not bring it back', async () => {
      const [, two] = fleet.net.hosts as [TestHost, TestHost];
      mkdirSync(folder(), { recursive: true });
      writeFileSync(path.join(folder(), 'owner'), JSON.stringify('ada@laptop 0123456789ab'));
      await fleet.served();
      const refused = await stop(elsewhere);
      expect(refused.code).toBe(2);
      expect(refused.stderr).toContain('fleet was started by ada@laptop');
      expect((await fleet.box.status('fleet')).state).toBe('ready');
      two.wire('cut');
      try {
        const half = await stop(elsewhere, '--yes', '--force');
        expect(half.code).toBe(6);
        expect(half.stderr).toContain('host-2 could not be asked; what of fleet runs there stays [STOP_INCOMPLETE]');
      } finally {
        two.wire('whole');
      }
      await waitFor('nothing to run on the host that was reached', () => fleet.host('host-1').processes().length === 0);
      expect(two.processes().some((line) => line.includes(' mocker '))).toBe(true);
      const rest = await stop(elsewhere, '--yes', '--json');
      expect(rest.code, rest.stderr).toBe(0);
      expect(JSON.parse(rest.stdout)).toEqual({ name: 'fleet', stopped: true, wasUp: true, foundOn: ['host-2'] });
      // Its first launcher has been superseded: what it would still stop is gone.
      const last = await fleet.box.run('stop', 'fleet');
      expect(last.code, last.stderr).toBe(0);
      await fleet.nothingLeft();
    });
  },
);
