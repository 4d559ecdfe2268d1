import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { type EtcdSpec, readEtcdSettings } from '../../../src/discovery/etcd-settings.ts';
import { tmpDir } from '../../helpers/tmp-dir.ts';

const settings = (spec: Partial<EtcdSpec>, env: NodeJS.ProcessEnv = {}) =>
  readEtcdSettings({ backend: 'etcd', endpoints: ['http://a:2379'], ...spec }, env);

describe('readEtcdSettings', () => {
  it('normalises endpoints and the prefix', async () => {
    const endpoints = ['http://a', 'http://a:2379/', 'http://b:80', 'http://[::1]:4001', 'http://10.0.0.1:2379'];
    expect(await settings({ endpoints, prefix: '/team/x//' })).toEqual({
      endpoints: ['http://a:2379', 'http://b:80', 'http://[::1]:4001', 'http://10.0.0.1:2379'],
      prefix: '/team/x',
      credentials: undefined,
      auth: undefined,
      leaseTtlSeconds: 604_800,
    });
    expect((await settings({})).prefix).toBe('/dynamo');
    expect((await settings({ endpoints: ['https://a', 'https://b:443'] })).endpoints).toEqual([
      'https://a:2379',
      'https://b:443',
    ]);
  });

  it.each([
    ['a:2379', /"a:2379" is no address/],
    ['ftp://a', /is no address/],
    ['http://user:word@a', /is no address/],
    ['http://a/path', /is no address/],
    ['', /is no address/],
  ])('refuses the endpoint %s', async (endpoint, message) => {
    await expect(settings({ endpoints: [endpoint] })).rejects.toMatchObject({
      code: 'DISCOVERY_UNREACHABLE',
      message: expect.stringMatching(message),
      hint: expect.stringMatching(/http:\/\/HOST:PORT/),
    });
  });

  it.each<[Partial<EtcdSpec>, RegExp]>([
    [{ endpoints: [] }, /at least one/],
    [{ endpoints: ['http://a', 'https://b'] }, /mix/],
    [{ tls: { caFile: '/x' } }, /http endpoints/],
    [{ endpoints: ['https://a'], tls: { certFile: '/x' } }, /one of certFile and keyFile/],
    [{ endpoints: ['https://a'], tls: { caFile: '/no/such/file' } }, /\/no\/such\/file: ENOENT/],
    [{ user: 'dynamo' }, /one of user and password/],
    [{ password: { env: 'WORD' } }, /one of user and password/],
  ])('refuses %j', async (spec, message) => {
    await expect(settings(spec)).rejects.toThrow(message);
  });

  it('takes what was sent of TLS files, and looks on this machine for the others', async () => {
    using tmp = tmpDir();
    const here = path.join(tmp.dir, 'ca.pem');
    writeFileSync(here, '-----BEGIN CERTIFICATE-----\n');
    const sent = (file: string) => (file === here ? undefined : `-----BEGIN ${file}-----`);
    const tls = { caFile: here, certFile: '/away/cert', keyFile: '/away/key', sent };
    const { credentials } = await settings({ endpoints: ['https://a'], tls });
    expect([credentials?.rootCertificate, credentials?.certChain, credentials?.privateKey].map(String)).toEqual([
      '-----BEGIN CERTIFICATE-----\n',
      '-----BEGIN /away/cert-----',
      '-----BEGIN /away/key-----',
    ]);
  });

  it('reads TLS files in PEM format only', async () => {
    using tmp = tmpDir();
    const [pem, der] = [path.join(tmp.dir, 'ca.pem'), path.join(tmp.dir, 'ca.der')];
    writeFileSync(pem, '-----BEGIN CERTIFICATE-----\n');
    writeFileSync(der, Buffer.from([0x30, 0x82]));
    const endpoints = ['https://a'];
    const { credentials } = await settings({ endpoints, tls: { caFile: pem, certFile: pem, keyFile: pem } });
    expect(String(credentials?.rootCertificate)).toBe('-----BEGIN CERTIFICATE-----\n');
    expect(String(credentials?.privateKey)).toBe('-----BEGIN CERTIFICATE-----\n');
    const known = await settings({ endpoints, tls: { certFile: pem, keyFile: pem } });
    expect(String(known.credentials?.rootCertificate).length).toBeGreaterThan(10_000);
    await expect(settings({ endpoints, tls: { caFile: der } })).rejects.toThrow(/not in PEM format/);
  });

  it('takes the password from a variable or a file', async () => {
    using tmp = tmpDir();
    const file = path.join(tmp.dir, 'password');
    writeFileSync(file, 'from a file \n');
    const user = 'dynamo';
    const auth = async (password: EtcdSpec['password'], env = {}) => (await settings({ user, password }, env)).auth;
    expect(await auth({ env: 'WORD' }, { WORD: 'from env' })).toEqual({ username: user, password: 'from env' });
    expect(await auth({ file })).toEqual({ username: user, password: 'from a file ' });
    const missing = { code: 'SECRET_MISSING' };
    await expect(auth({ env: 'WORD' })).rejects.toMatchObject({ ...missing, hint: 'Set WORD.' });
    await expect(auth({ file: `${file}-not` })).rejects.toMatchObject({
      ...missing,
      message: expect.stringMatching(/ENOENT/),
    });
  });
});
