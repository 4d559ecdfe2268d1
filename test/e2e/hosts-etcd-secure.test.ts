import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { Etcd3 } from 'etcd3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DeploymentSnapshot } from '../../src/deployment/snapshot.ts';
import { hasOpenssl, TestAuthority } from '../helpers/certificates.ts';
import { ask, Sandbox } from '../helpers/deployment-sandbox.ts';
import { EtcdDoor } from '../helpers/etcd-door.ts';
import { hasEtcd } from '../helpers/etcd-server.ts';
import { hasTestHosts, TestHosts } from '../helpers/test-hosts.ts';
import { waitFor } from '../helpers/until.ts';

const PASSWORD = `pass-${randomUUID()}`;

describe.skipIf(!hasTestHosts || !hasEtcd || !hasOpenssl)(
  'an etcd with TLS, client certificates and a password',
  () => {
    const box = new Sandbox();
    const pem = (name: string) => path.join(box.home, 'pki', name);
    let cleanup: AsyncDisposableStack;
    let net: TestHosts;
    let client: (auth?: { username: string; password: string }) => Etcd3;
    let serve: string[];

    beforeAll(async () => {
      cleanup = new AsyncDisposableStack();
      cleanup.use(box);
      mkdirSync(pem(''), { recursive: true });
      net = cleanup.use(await TestHosts.start(2));
      const authority = new TestAuthority(pem(''), 'authority');
      new TestAuthority(pem(''), 'stranger');
      const server = authority.sign('server', ['127.0.0.1', `${net.wires.net}.1`]);
      authority.sign('client');
      const store = cleanup.use(
        await EtcdDoor.open(net, 0, [
          ...['--cert-file', server.certFile, '--key-file', server.keyFile],
          ...['--client-cert-auth', '--trusted-ca-file', authority.caFile],
        ]),
      );
      const credentials = {
        rootCertificate: readFileSync(authority.caFile),
        certChain: readFileSync(pem('client.crt')),
        privateKey: readFileSync(pem('client.key')),
      };
      client = (auth) => new Etcd3({ hosts: store.etcd.url, credentials, ...(auth && { auth }) });
      const admin = cleanup.adopt(client(), (one) => one.close());
      await admin.auth.userAdd({ name: 'root', password: 'r00t' });
      await admin.auth.userGrantRole({ user: 'root', role: 'root' });
      await admin.auth.roleAdd({ name: 'ours' });
      const range = { key: Buffer.from('/dynamo/'), range_end: Buffer.from('/dynamo0') };
      await admin.auth.roleGrantPermission({ name: 'ours', perm: { permType: 'Readwrite', ...range } });
      await admin.auth.userAdd({ name: 'dynamo', password: PASSWORD });
      await admin.auth.userGrantRole({ user: 'dynamo', role: 'ours' });
      await admin.auth.authEnable();
      box.env['ETCD_PASSWORD'] = PASSWORD;
      const hosts = box.file('hosts.yaml', JSON.stringify({ hosts: net.hosts.map((host) => net.entry(host)) }));
      const recipe = box.file(
        'fleet.yaml',
        `name: fleet
model: mock-model
engine: mocker
discovery:
  backend: etcd
  endpoints: ['${store.endpoint}']
  ttl: 10s
  tls: { caFile: ./home/pki/authority.crt, certFile: ./home/pki/client.crt, keyFile: ./home/pki/client.key }
  user: dynamo
  password: { fromEnv: ETCD_PASSWORD }
frontend: { port: auto, restart: { initialBackoff: 100ms } }
workers:
  aggregated: { replicas: 2, restart: { initialBackoff: 100ms } }
`,
      );
      serve = ['serve', recipe, '--hosts', hosts, '--detach'];
    });
    afterAll(() => cleanup?.disposeAsync());

    /** Files of a host that hold the text, with their modes. */
    const filesWith = (index: number, text: string): string[] =>
      net.hosts[index]!.run(
        'pattern=$(cat); grep -rlsF -e "$pattern" ~ /tmp /run 2>/dev/null | xargs -r stat -c "%a %n"; true',
        text,
      )
        .split('\n')
        .filter((line) => line !== '' && !line.includes(pem('')));
    const key = () => readFileSync(pem('client.key'), 'utf8').split('\n')[3]!;
    const nothingRuns = () =>
      waitFor('nothing of ours to run', () => net.hosts.every((host) => host.processes().length === 0));
    const back = (name: string, before: DeploymentSnapshot) =>
      waitFor(`${name} to be back`, async () => {
        const now = await box.status('fleet');
        const one = now.processes.find((process) => process.name === name)!;
        const isNew = one.pid !== before.processes.find((process) => process.name === name)!.pid;
        return now.state === 'ready' && one.pid !== null && isNew ? now : undefined;
      });

    it.each([
      ['a stranger’s authority', ['discovery.tls.caFile', 'stranger.crt'], /certificate.*\[DISCOVERY_UNREACHABLE\]/],
      ['a stranger’s certificate', ['discovery.tls.certFile', 'stranger.crt'], /\[DISCOVERY_UNREACHABLE\]/],
      [
        'a key that is not there',
        ['discovery.tls.keyFile', 'gone.key'],
        /cannot read the TLS file .*gone\.key: ENOENT/,
      ],
    ])('%s: refused before anything starts, with the reason', async (_, [key, file], message) => {
      const more = ['--set', `${key}=${pem(file!)}`];
      if (file === 'stranger.crt' && key!.endsWith('certFile'))
        more.push('--set', `discovery.tls.keyFile=${pem('stranger.key')}`);
      const { code, stderr } = await box.run(...serve, ...more);
      expect(code, stderr).toBe(7);
      expect(stderr).toMatch(message);
      await nothingRuns();
    });

    it('a wrong password: refused before anything starts, with the user’s name', async () => {
      box.env['ETCD_PASSWORD'] = 'guess';
      const { code, stderr } = await box.run(...serve);
      box.env['ETCD_PASSWORD'] = PASSWORD;
      expect(code).toBe(7);
      expect(stderr).toContain('refuses the user dynamo');
      expect(stderr).not.toContain('guess');
      await nothingRuns();
    });

    it('hosts without these files and that password register, find and restart; a key is a file of its owner only, a password none', async () => {
      expect(await box.run(...serve)).toMatchObject({ code: 0, stderr: '' });
      const before = await box.ready('fleet');
      await ask(before.endpoint);
      const frontend = before.processes.find(({ name }) => name === 'frontend')!;
      for (const [index, { name }] of net.hosts.entries()) {
        const found = filesWith(index, key());
        if (name === frontend.host)
          expect(found).toEqual([
            expect.stringMatching(/^600 .*\/agents\/host-\d\/files\/frontend\/sent-\d-client\.key$/),
          ]);
        else expect(found).toEqual([]);
        expect(filesWith(index, PASSWORD)).toEqual([]);
        expect(net.hosts[index]!.processes().filter((line) => line.includes(PASSWORD))).toEqual([]);
      }

      const host = net.hosts.find(({ name }) => name === frontend.host)!;
      host.run(`kill -KILL ${frontend.pid}`);
      const { endpoint } = await back('frontend', before);
      await waitFor('the new frontend to know the workers', () =>
        ask(endpoint).then(
          () => true,
          () => undefined,
        ),
      );
      // A new agent needs them again, and gets them from the controller.
      const agent = before.agents.find((each) => each.host === frontend.host)!;
      host.run(`kill -KILL ${agent.pid}`);
      await waitFor('a new agent', async () =>
        (await box.status('fleet')).agents.some(
          (each) => each.host === host.name && each.pid && each.pid !== agent.pid,
        ),
      );
      const worker = before.processes.find((each) => each.role === 'aggregated' && each.host === host.name)!;
      host.run(`kill -KILL ${worker.pid}`);
      const after = await back(worker.name, before);
      await waitFor('the frontend to find it', async () => {
        const health = (await (await fetch(`${after.endpoint}/health`)).json()) as {
          instances: { name: string; generation: number }[];
        };
        return health.instances.some((each) => each.name === worker.name && each.generation === worker.generation + 1);
      });
    });

    it('a password that is changed: serving goes on, status says whom etcd refuses; all is well when it is right again', async () => {
      const { endpoint } = await box.ready('fleet');
      const root = client({ username: 'root', password: 'r00t' });
      try {
        await root.auth.userChangePassword({ name: 'dynamo', password: 'another' });
        await waitFor('status to tell whom etcd refuses', async () =>
          (await box.status('fleet')).agents.every(({ storeProblem }) =>
            storeProblem?.includes('refuses the user dynamo'),
          ),
        );
        await ask(endpoint);
        await root.auth.userChangePassword({ name: 'dynamo', password: PASSWORD });
        await waitFor('status to be well', async () =>
          (await box.status('fleet')).agents.every(({ storeProblem }) => storeProblem === null),
        );
      } finally {
        root.close();
      }
    });

    it('stops, and no key or password stays on any host', async () => {
      expect(await box.run('stop', 'fleet')).toMatchObject({ code: 0, stderr: '' });
      await nothingRuns();
      for (const index of net.hosts.keys()) {
        expect(filesWith(index, key())).toEqual([]);
        expect(filesWith(index, 'PRIVATE KEY').filter((line) => line.includes('dynamo/deployments'))).toEqual([]);
        expect(filesWith(index, PASSWORD)).toEqual([]);
      }
    });
  },
);
