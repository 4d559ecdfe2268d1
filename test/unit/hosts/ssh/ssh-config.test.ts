import { describe, expect, it } from 'vitest';
import { readSshConfig, type SshConfigContext } from '../../../../src/hosts/ssh/ssh-config.ts';

const read = (
  text: string | string[],
  host = 'gpu-a',
  included: Record<string, string> = {},
  context: Partial<SshConfigContext> = {},
) =>
  readSshConfig(
    [text].flat().map((one, index) => ({ file: `file${index}`, text: one, folder: `/folder${index}` })),
    host,
    {
      localUser: 'me',
      include: (name) => [{ file: name, text: included[name] ?? '' }],
      exec: async () => false,
      addresses: () => ['10.1.2.3', 'fd00::7'],
      ...context,
    },
  );

describe('~/.ssh/config', () => {
  it('takes the first value of a keyword, and all key files', async () => {
    const text =
      'Host gpu-*\n  User one\n  IdentityFile ~/.ssh/a\nHost *\n  User two\n  Port 2222\n  IdentityFile ~/.ssh/b\n';
    expect(await read(text)).toEqual({ user: 'one', port: 2222, identityFiles: ['~/.ssh/a', '~/.ssh/b'] });
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
    ['Match user me', true],
    ['Match host gpu-b,gpu-a', true],
    ['Match host *,!gpu-a', false],
    ['Match all', true],
    ['Match !all', false],
    ['Match exec "false"', false],
    ['Match !exec "false"', true],
    ['Match canonical', false],
    ['Match !canonical all', true],
    ['Match tagged fast', false],
    ['Match !tagged *', false],
    ['Match localnetwork 10.1.0.0/16', true],
    ['Match localnetwork fd00::/8', true],
    ['Match localnetwork 10.2.0.0/16', false],
    ['Match localnetwork 10.0.0.0/8,!10.1.2.0/24', false],
  ])('%s', async (head, matches) =>
    expect((await read(`${head}\n  User found\n`)).user).toBe(matches ? 'found' : undefined),
  );

  it('reads equals signs, quotes, comments and any case', async () => {
    const text = '# a comment\nHOSTNAME = 10.0.0.1\nidentityfile "/a key" # why\nUserKnownHostsFile /one /two\n';
    expect(await read(text)).toEqual({
      hostName: '10.0.0.1',
      identityFiles: ['/a key'],
      userKnownHostsFiles: ['/one', '/two'],
    });
  });

  it('includes files where they stand, for the hosts they stand under', async () => {
    const included = { 'a.conf': 'Host gpu-a\n  User inner\n' };
    expect((await read('Include a.conf\nHost *\n  User outer\n', 'gpu-a', included)).user).toBe('inner');
    expect((await read('Host gpu-b\n  Include a.conf\nHost *\n  User outer\n', 'gpu-a', included)).user).toBe('outer');
  });

  it('ends where files include themselves', async () => {
    expect((await read('Include a\nUser last\n', 'gpu-a', { a: 'Include a\n' })).user).toBe('last');
  });

  it('looks for included files beside the first file that includes', async () => {
    const asked: string[] = [];
    const include: SshConfigContext['include'] = (pattern, folder) => {
      asked.push(`${folder}/${pattern}`);
      return pattern === 'a' ? [{ file: '/elsewhere/a', text: 'Include b\n' }] : [];
    };
    await read(['Include a\n', 'Include b\n'], 'gpu-a', {}, { include });
    expect(asked).toEqual(['/folder0/a', '/folder0/b', '/folder1/b']);
  });

  it('takes ProxyJump or ProxyCommand, whichever comes first, also over files', async () => {
    expect((await read('ProxyJump gate\nProxyCommand nc %h %p\n')).proxyCommand).toBeUndefined();
    expect((await read('ProxyCommand nc %h %p\nProxyJump gate\n')).proxyJump).toBeUndefined();
    expect((await read(['ProxyJump gate\n', 'ProxyCommand nc %h %p\n'])).proxyCommand).toBeUndefined();
  });

  it('keeps a ProxyCommand as it is written, quotes, equals signs and hashes included', async () => {
    const text = `Host *\n  ProxyCommand = sh -c 'echo "a  b" # c' --x=1 %h\n`;
    expect((await read(text)).proxyCommand).toEqual({ command: `sh -c 'echo "a  b" # c' --x=1 %h`, place: 'file0:2' });
  });

  it('judges Match by what was asked for and what is known by then', async () => {
    const text = 'HostName %h.example.org\nMatch host *.example.org user ada\n  Port 7\n';
    expect((await read(text, 'gpu-a', {}, { user: 'ada' })).port).toBe(7);
    expect((await read(`User ada\n${text}`)).port).toBe(7);
    expect((await read(`User ada\n${text}`, 'gpu-a', {}, { user: 'bob' })).port).toBeUndefined();
    expect((await read('Tag slow\nMatch tagged fast,slow\n  Port 7\n')).port).toBe(7);
  });

  it('runs the command of Match exec with its tokens, unless an earlier criterion fails', async () => {
    const ran: string[] = [];
    const exec: SshConfigContext['exec'] = async (command, place) => {
      ran.push(`${place} ${command}`);
      return true;
    };
    const text =
      'HostName 10.0.0.1\nUser ada\nPort 7\n' +
      'Match host nobody exec "first"\n  HostKeyAlias no\n' +
      'Match exec "test %h %n %p %r %u %d 100%%"\n  HostKeyAlias yes\n';
    expect((await read(text, 'gpu-a', {}, { exec, tokens: { d: '/home/me' } })).hostKeyAlias).toBe('yes');
    expect(ran).toEqual(['file0:6 test 10.0.0.1 gpu-a 7 ada me /home/me 100%']);
  });

  it('reads all once more for Match final, with what is known by then', async () => {
    const text =
      'Match final host *.example.org\n  Port 7\n  IdentityFile b\n' +
      'Host gpu-a\n  HostName gpu-a.example.org\n  IdentityFile a\n';
    expect(await read(text)).toEqual({ hostName: 'gpu-a.example.org', port: 7, identityFiles: ['a', 'b'] });
    expect(await read(text, 'other')).toEqual({ identityFiles: [] });
  });

  it.each([
    ['Match sessiontype shell', 'dynamo does not know `sessiontype`'],
    ['Match host', '`host` has no value'],
    ['Match localnetwork home', 'home is no network'],
    ['Match exec "test %C"', 'dynamo does not know the token %C'],
  ])('refuses %s with the line, where it would count', async (head, why) => {
    const included = { 'a.conf': `# a comment\n${head}\n  Port 7\n` };
    await expect(read('Include a.conf\n', 'gpu-a', included)).rejects.toThrow(new RegExp(`^a.conf:2: .*${why}`));
    expect((await read(`Match host other ${head.slice(6)}\n  Port 7\n`)).port).toBeUndefined();
  });
});
