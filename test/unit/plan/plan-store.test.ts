import { describe, expect, it } from 'vitest';
import type { EtcdDiscoverySpec, ProcessSpec } from '../../../src/plan/launch-plan.ts';
import { planDifference } from '../../../src/plan/plan-difference.ts';
import { discoveryBackend } from '../../../src/plan/plan-discovery.ts';
import { maskPlan, renderPlan } from '../../../src/plan/render-plan.ts';
import { missingSecrets } from '../../../src/plan/secrets.ts';
import { planText, recordedFacts } from '../../helpers/recipes.ts';

const recipe = (discovery: string) => `name: demo
model: m
engine: mocker
frontend: { port: 8000 }
workers: { aggregated: {} }
discovery: ${discovery}
`;
const host = (name: string) => recordedFacts('no-gpu', { name, address: `10.0.0.${name.slice(1)}` });
const hosts = (count: number) => Array.from({ length: count }, (_, index) => host(`h${index + 1}`));
const storesOf = ({ processes }: { processes: ProcessSpec[] }) => processes.filter(({ role }) => role === 'store');
const configOf = (spec: ProcessSpec) => JSON.parse(spec.files![0]!.content) as Record<string, string>;
const flag = (spec: ProcessSpec, name: string) => spec.argv[spec.argv.indexOf(name) + 1];

describe('an etcd that runs already', () => {
  const text = recipe(
    '{ backend: etcd, endpoints: [https://a:2379, https://b:2379], prefix: /team, tls: { caFile: /ca.pem }, user: u, password: { fromEnv: WORD } }',
  );

  it('is named with its secrets by reference, to frontends too', async () => {
    const plan = await planText(text);
    expect(plan.discovery).toEqual({
      backend: 'etcd',
      ttlMs: 10_000,
      endpoints: ['https://a:2379', 'https://b:2379'],
      prefix: '/team',
      caFile: '/ca.pem',
      user: 'u',
      passwordFrom: { fromEnv: 'WORD' },
    });
    const frontend = plan.processes.find(({ role }) => role === 'frontend')!;
    expect(flag(frontend, '--discovery-endpoints')).toBe('https://a:2379,https://b:2379');
    expect(flag(frontend, '--discovery-password-env')).toBe('DYNAMO_DISCOVERY_PASSWORD');
    expect(frontend.env).toEqual({ DYNAMO_DISCOVERY_PASSWORD: { fromEnv: 'WORD' } });
    expect(missingSecrets(plan, {})).toEqual(['WORD']);
    expect(discoveryBackend(plan.discovery, '/root')).toEqual({
      backend: 'etcd',
      endpoints: ['https://a:2379', 'https://b:2379'],
      prefix: '/team',
      tls: { caFile: '/ca.pem', certFile: undefined, keyFile: undefined },
      user: 'u',
      password: { env: 'WORD' },
    });
  });

  it('shows where the secret is, since that is none', async () => {
    const plan = await planText(text);
    expect(renderPlan(plan)).toContain('DYNAMO_DISCOVERY_PASSWORD=<from env WORD>');
    expect(maskPlan(plan).processes.at(-1)?.argv).toContain('DYNAMO_DISCOVERY_PASSWORD');
  });
});

describe('a managed etcd', () => {
  const text = recipe('{ backend: etcd, managed: true }');

  it('is one process on one host, before all others', async () => {
    const plan = await planText(text);
    const [etcd, ...more] = storesOf(plan);
    expect(more).toEqual([]);
    expect(plan.stages[0]).toEqual(['etcd']);
    expect(plan.discovery).toMatchObject({ endpoints: [etcd!.url], managed: { members: ['etcd'] } });
    expect(etcd).toMatchObject({
      argv: ['etcd', '--config-file', '{file:etcd.json}'],
      dataDir: '/state/demo/discovery/etcd',
      restart: { policy: 'always' },
    });
    expect(configOf(etcd!)).toMatchObject({
      'data-dir': '/state/demo/discovery/etcd',
      'listen-client-urls': etcd!.url,
      'auto-compaction-mode': 'revision',
    });
    expect(plan.warnings).toEqual([]);
  });

  it('takes other ports where those are taken, and that is no difference of the plan', async () => {
    const busy = await planText(text, recordedFacts('no-gpu', { listeningPorts: [2379, 2380, 2382] }));
    expect(storesOf(busy)[0]!.ports).toEqual({ http: 2381, peer: 2383 });
    expect(planDifference(await planText(text), busy)).toEqual([]);
    const fixed = await planText(recipe('{ backend: etcd, managed: { port: 4001, peerPort: 4002 } }'));
    expect(storesOf(fixed)[0]).toMatchObject({ ports: { http: 4001, peer: 4002 }, fixedPorts: ['http', 'peer'] });
  });

  it('warns that one member is all that two hosts get, and that it is open', async () => {
    const plan = await planText(text, host('h1'), { facts: hosts(2) });
    expect(storesOf(plan).map((spec) => spec.host)).toEqual(['h1']);
    expect(plan.warnings.slice(0, 2)).toEqual([
      expect.stringMatching(/^etcd has one member, on h1: .* requests go on being served.* A third host/),
      expect.stringMatching(/^etcd on h1 has no access control/),
    ]);
  });

  it('has three members on three hosts, which know each other', async () => {
    const plan = await planText(text, host('h1'), { facts: hosts(4) });
    const members = storesOf(plan);
    expect(members.map((spec) => `${spec.name} ${spec.host}`)).toEqual(['etcd-0 h1', 'etcd-1 h2', 'etcd-2 h3']);
    expect(plan.stages[0]).toEqual(['etcd-0', 'etcd-1', 'etcd-2']);
    expect((plan.discovery as EtcdDiscoverySpec).endpoints).toEqual([
      'http://10.0.0.1:2379',
      'http://10.0.0.2:2379',
      'http://10.0.0.3:2379',
    ]);
    const cluster = 'etcd-0=http://10.0.0.1:2380,etcd-1=http://10.0.0.2:2380,etcd-2=http://10.0.0.3:2380';
    for (const spec of members) expect(configOf(spec)).toMatchObject({ name: spec.name, 'initial-cluster': cluster });
  });

  it('goes where the recipe says, and nowhere else', async () => {
    const on = (names: string) => recipe(`{ backend: etcd, managed: { hosts: [${names}] } }`);
    const plan = await planText(on('h3'), host('h1'), { facts: hosts(3) });
    expect(storesOf(plan).map((spec) => spec.host)).toEqual(['h3']);
    expect(plan.warnings[0]).toMatch(/^etcd has one member, on h3: .* Three hosts in/);
    await expect(planText(on('h9'), host('h1'), { facts: hosts(3) })).rejects.toMatchObject({
      code: 'RECIPE_INVALID',
      hint: 'Its hosts are h1, h2, h3.',
    });
  });

  it('says when the program is not there', async () => {
    const facts = recordedFacts('no-gpu', { commands: { etcd: null } });
    expect((await planText(text, facts)).warnings).toEqual([
      expect.stringMatching(/^`etcd` was not found on .* Install etcd 3\.4/),
    ]);
  });
});
