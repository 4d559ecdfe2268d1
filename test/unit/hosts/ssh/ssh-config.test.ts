import { describe, expect, it } from 'vitest';
import { readSshConfig } from '../../../../src/hosts/ssh/ssh-config.ts';

const read = (text: string, host = 'gpu-a', included: Record<string, string> = {}) =>
  readSshConfig(text, host, { localUser: 'me', include: (name) => [included[name] ?? ''] });

describe('~/.ssh/config', () => {
  it('takes the first value of a keyword, and all key files', () => {
    const text =
      'Host gpu-*\n  User one\n  IdentityFile ~/.ssh/a\nHost *\n  User two\n  Port 2222\n  IdentityFile ~/.ssh/b\n';
    expect(read(text)).toEqual({ user: 'one', port: 2222, identityFiles: ['~/.ssh/a', '~/.ssh/b'] });
  });

  it.each([
    ['Host gpu-a', true],
    ['Host other gpu-?', true],
    ['Host * !gpu-a', false],
    ['Host gpu', false],
    ['Match host gpu-*', true],
    ['Match originalhost gpu-a localuser me', true],
    ['Match !host gpu-a', false],
    ['Match user root', false],
    ['Match all', true],
    ['Match exec "true"', false],
  ])('%s', (head, matches) => expect(read(`${head}\n  User found\n`).user).toBe(matches ? 'found' : undefined));

  it('reads equals signs, quotes, comments and any case', () => {
    const text = '# a comment\nHOSTNAME = 10.0.0.1\nidentityfile "/a key" # why\nUserKnownHostsFile /one /two\n';
    expect(read(text)).toEqual({
      hostName: '10.0.0.1',
      identityFiles: ['/a key'],
      userKnownHostsFiles: ['/one', '/two'],
    });
  });

  it('includes files where they stand, for the hosts they stand under', () => {
    const included = { 'a.conf': 'Host gpu-a\n  User inner\n' };
    expect(read('Include a.conf\nHost *\n  User outer\n', 'gpu-a', included).user).toBe('inner');
    expect(read('Host gpu-b\n  Include a.conf\nHost *\n  User outer\n', 'gpu-a', included).user).toBe('outer');
  });

  it('ends where files include themselves', () => {
    expect(read('Include a\nUser last\n', 'gpu-a', { a: 'Include a\n' }).user).toBe('last');
  });

  it('takes ProxyJump or ProxyCommand, whichever comes first', () => {
    expect(read('ProxyJump gate\nProxyCommand nc %h %p\n').proxyCommand).toBeUndefined();
    expect(read('ProxyCommand nc %h %p\nProxyJump gate\n').proxyJump).toBeUndefined();
  });
});
