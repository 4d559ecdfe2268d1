import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { DynamoError } from '../../../src/base/errors.ts';
import { loadHosts } from '../../../src/hosts/hosts-file.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'dynamo-hosts-file-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function load(text: string, env: NodeJS.ProcessEnv = {}) {
  const cwd = folder;
  writeFileSync(path.join(cwd, 'hosts.yaml'), text);
  return { cwd, hosts: () => loadHosts('hosts.yaml', { cwd, env, home: '/home/ada' }) };
}

function problems(text: string): string[] {
  try {
    load(text).hosts();
  } catch (error) {
    expect(error).toMatchObject({ code: 'HOSTS_INVALID' });
    return [...(error as DynamoError).details];
  }
  throw new Error('expected it to be refused');
}

describe('loadHosts', () => {
  it('reads every key', () => {
    const { cwd, hosts } = load(`
hosts:
  - name: gpu-a
    address: 10.0.0.11
    dataAddress: 192.168.100.11
    port: 2222
    user: ada
    identityFile: ~/.ssh/gpu
    identityAgent: none
    knownHosts: known_hosts
    jump: root@bastion.example:2200
    labels: { rack: 7, zone: eu }
    gpus: [0, 1, 2, 3]
    nics: [ens1f0, mlx5_0]
    env: { PATH: "/opt/vllm/bin:/usr/bin", HF_TOKEN: { fromFile: token } }
    stateDir: /scratch/dynamo
    kitDir: ~/kits
    nodePath: /opt/node/bin/node
`);
    expect(hosts()).toEqual([
      {
        name: 'gpu-a',
        address: '10.0.0.11',
        local: false,
        dataAddress: '192.168.100.11',
        port: 2222,
        user: 'ada',
        identityFile: '/home/ada/.ssh/gpu',
        identityAgent: 'none',
        knownHosts: path.join(cwd, 'known_hosts'),
        jump: { name: 'bastion.example', address: 'bastion.example', user: 'root', port: 2200 },
        labels: { rack: '7', zone: 'eu' },
        gpus: [0, 1, 2, 3],
        nics: ['ens1f0', 'mlx5_0'],
        env: { PATH: '/opt/vllm/bin:/usr/bin', HF_TOKEN: { fromFile: path.join(cwd, 'token') } },
        stateDir: '/scratch/dynamo',
        kitDir: '~/kits',
        nodePath: '/opt/node/bin/node',
      },
    ]);
  });

  it('takes names alone, IPv6, defaults, and this machine', () => {
    const { hosts } = load(
      `
x-key: &key ~/.ssh/cluster
defaults:
  user: \${LOGIN}
  identityFile: *key
  labels: { zone: a }
  jump: bastion
  gpus: 4
hosts:
  - gpu-a
  - { address: "[fd00::1]", labels: { rack: r1 }, gpus: 0 }
  - { name: bastion, user: root, jump: none }
  - local
`,
      { LOGIN: 'ada' },
    );
    const bastion = { name: 'bastion', address: 'bastion', user: 'root' };
    expect(hosts()).toMatchObject([
      { name: 'gpu-a', address: 'gpu-a', user: 'ada', identityFile: '/home/ada/.ssh/cluster', gpus: [0, 1, 2, 3] },
      { name: 'fd00--1', address: 'fd00::1', labels: { zone: 'a', rack: 'r1' }, gpus: [], jump: bastion },
      bastion,
      { name: 'local', local: true, labels: { zone: 'a' } },
    ]);
    expect(hosts()[3]).not.toHaveProperty('user');
    expect(hosts()[3]).not.toHaveProperty('jump');
  });

  it('shows every problem with its line, a caret and the nearest key', () => {
    expect(
      problems(`hosts:
  - name: a
    adress: 10.0.0.1
    gpus: [0, 0]
  - { name: b, port: 70000, stateDir: relative }
defaults: { usr: ada }
`),
    ).toEqual([
      'hosts.yaml:3:5: unknown key `adress` in `hosts[0]`; did you mean `address`?',
      '    3 |     adress: 10.0.0.1',
      '      |     ^^^^^^',
      'hosts.yaml:4:5: the same index occurs twice',
      '    4 |     gpus: [0, 0]',
      '      |     ^^^^',
      'hosts.yaml:5:22: expected at most 65535, found 70000',
      '    5 |   - { name: b, port: 70000, stateDir: relative }',
      '      |                      ^^^^^',
      'hosts.yaml:5:39: expected an absolute path on the host, or one that begins with ~/',
      '    5 |   - { name: b, port: 70000, stateDir: relative }',
      '      |                                       ^^^^^^^^',
      'hosts.yaml:6:13: unknown key `usr` in `defaults`; did you mean `user`?',
      '    6 | defaults: { usr: ada }',
      '      |             ^^^',
    ]);
  });

  it.each([
    ['hosts: [a, b, a]', '`a` is already the name of host 1 of the list'],
    ['hosts: [local, {name: me, address: local}]', 'this machine is already in the list, as `local`'],
    ['hosts: [{name: local, address: 10.0.0.1}]', '`local` is this machine; give a host with an address another name'],
    ['hosts: [{name: local, user: ada}]', 'this machine is reached without SSH; `user` has no meaning here'],
    ['hosts: [{port: 22}]', 'a host has a `name`, an `address` or both'],
    ['hosts: [{address: "ada@10.0.0.1"}]', 'expected an address alone; the user has a key of its own, `user`'],
    ['hosts: [{address: "gpu-a:22"}]', 'expected an address alone; the port has a key of its own, `port`'],
    [
      'hosts: [{name: a, jump: "x y"}]',
      'expected a host of this file, user@address:port, or a map with address, user, …',
    ],
    [
      'hosts: [{name: a, jump: "x:99999"}]',
      'expected a host of this file, user@address:port, or a map with address, user, …',
    ],
    ['hosts: [{name: a, jump: b}, {name: b, jump: a}]', '`jump` goes in a circle: a → b → a'],
    ['hosts: [{name: a, jump: local}, local]', '`local` is this machine; nothing needs to go through it'],
    ['hosts: []', 'expected at least 1 item, found 0'],
    ['host: [a]', 'unknown key `host` at the top; did you mean `hosts`?'],
    ['- a', 'expected a map with the list under `hosts:`'],
    ['', 'expected a map with `hosts:`'],
    [
      'hosts: [{name: "../a"}]',
      'expected up to 63 letters, digits, dots, dashes and underscores, beginning with a letter or digit',
    ],
    [
      `hosts: [{name: a, user: "\${WHO}"}]`,
      `the environment variable WHO is not set; set it, or write \${WHO:-default}`,
    ],
    ['hosts: [{name: a, nics: eth0}]', 'expected a list, found the text "eth0"'],
    ['hosts: [a', /not valid YAML/],
  ])('refuses %s', (text, message) => {
    const said = problems(text).map((line) => line.replace(/^hosts\.yaml:\d+:\d+: /, ''));
    expect(said).toContainEqual(typeof message === 'string' ? message : expect.stringMatching(message));
  });

  it('names a file that is not there, and one that is no text', () => {
    expect(() => loadHosts('/nowhere/hosts.yaml')).toThrow(/cannot read \/nowhere\/hosts.yaml: ENOENT/);
    const file = path.join(folder, 'hosts.yaml');
    writeFileSync(file, Buffer.from([0, 1, 2]));
    expect(() => loadHosts(file)).toThrow(/is not a text file/);
  });

  it('answers any text with hosts or a HOSTS_INVALID', () => {
    const words = [
      'hosts:',
      '- ',
      'name: a',
      '{',
      '}',
      '[',
      ']',
      '\n',
      '  ',
      'jump: b',
      'local',
      'address: ',
      '::1',
      '&a',
      '*a',
      '"',
      `\${X}`,
    ];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...words), { maxLength: 30 }), (parts) => {
        try {
          load(parts.join('')).hosts();
        } catch (error) {
          expect(error).toBeInstanceOf(DynamoError);
          expect((error as DynamoError).code).toBe('HOSTS_INVALID');
        }
      }),
      { numRuns: 150 },
    );
  });
});
