import { describe, expect, it } from 'vitest';
import { loadText, problemsOf } from '../../helpers/recipes.ts';

const recipe = (discovery: string) => `name: demo
model: m
engine: mocker
workers: { aggregated: {} }
discovery: ${discovery}
`;

const load = async (discovery: string) => (await loadText(recipe(discovery))).recipe.discovery;

describe('discovery', () => {
  it('comes out in one shape', async () => {
    expect(await load('{}')).toEqual({ backend: 'file', ttl: 10_000, root: undefined });
    expect(await load('{ root: /shared }')).toMatchObject({ backend: 'file', root: '/shared' });
    expect(await load('{ backend: etcd, endpoints: "http://a:1, http://b:2" }')).toMatchObject({
      endpoints: ['http://a:1', 'http://b:2'],
      managed: null,
    });
    expect(await load('{ backend: etcd, managed: true }')).toMatchObject({ endpoints: [], managed: {} });
    expect(await load('{ backend: etcd, managed: { hosts: [a, b, c], port: 2379 } }')).toMatchObject({
      managed: { hosts: ['a', 'b', 'c'], port: 2379 },
    });
  });

  it('makes paths absolute from where they stand', async () => {
    const discovery = await load(
      '{ backend: etcd, endpoints: [https://a], tls: { caFile: ./ca.pem }, user: u, password: { fromFile: word } }',
    );
    expect(discovery).toMatchObject({
      tls: { caFile: expect.stringMatching(/^\/.*\/ca\.pem$/) },
      password: { fromFile: expect.stringMatching(/^\/.*\/word$/) },
    });
  });

  it.each([
    ['{ backend: etcd }', 'needs `endpoints`, such as [http://10.0.0.1:2379], or `managed: true`'],
    ['{ endpoints: [http://a] }', '`endpoints` is for `backend: etcd`'],
    ['{ managed: true }', '`managed` is for `backend: etcd`'],
    ['{ root: shared }', 'expected a path that begins with /, ./ or ../'],
    ['{ backend: etcd, root: /x, managed: true }', '`root` is for `backend: file`'],
    ['{ backend: etcd, endpoints: [a:2379] }', '"a:2379" is no address of an etcd'],
    ['{ backend: etcd, endpoints: "http://a,ftp://b" }', '"ftp://b" is no address of an etcd'],
    ['{ backend: etcd, endpoints: [http://a, https://b] }', 'they mix http and https'],
    ['{ backend: etcd, endpoints: [http://a], tls: {} }', '`tls` needs endpoints with https'],
    ['{ backend: etcd, endpoints: [https://a], tls: { keyFile: /k } }', '`certFile` and `keyFile` belong together'],
    ['{ backend: etcd, endpoints: [http://a], user: u }', '`user` needs a `password`'],
    ['{ backend: etcd, endpoints: [http://a], password: { fromEnv: P } }', '`password` needs a `user`'],
    ['{ backend: etcd, endpoints: [http://a], user: u, password: secret }', 'a password is named, never written'],
    ['{ backend: etcd, endpoints: [http://a], prefix: dynamo }', 'expected a prefix that begins with /'],
    ['{ backend: etcd, endpoints: [http://a], managed: true }', '`endpoints` and `managed` exclude each other'],
    ['{ backend: etcd, managed: { hosts: [a, b] } }', '2 members bear no more losses than 1'],
    ['{ backend: etcd, managed: { hosts: [a, b, a] } }', 'a host can run one member only'],
    ['{ backend: etcd, managed: { endpoint: x } }', 'endpoint'],
    ['{ backend: redis }', 'file'],
  ])('refuses %s', async (discovery, message) => {
    const problems = await problemsOf(recipe(discovery));
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(message);
  });
});
