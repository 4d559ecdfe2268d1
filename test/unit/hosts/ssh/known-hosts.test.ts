import { describe, expect, it } from 'vitest';
import { hostWithPort, judgeHostKey, knownTypes, parseKnownHosts } from '../../../../src/hosts/ssh/known-hosts.ts';

/** A key blob of a type, with a body. */
const blob = (type: string, body: string) => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(type.length);
  return Buffer.concat([length, Buffer.from(type), Buffer.from(body)]);
};
const key = blob('ssh-ed25519', 'one');
const other = blob('ssh-ed25519', 'two');
const rsa = blob('ssh-rsa', 'three');
const line = (hosts: string, shown = key, type = 'ssh-ed25519') =>
  `${hosts} ${type} ${shown.toString('base64')} comment\n`;
const judge = (text: string, name = 'gpu-a', port = 22, shown = key) =>
  judgeHostKey(parseKnownHosts(text, 'known_hosts'), name, port, shown).kind;

describe('known hosts', () => {
  it.each([
    ['a name', line('gpu-a'), 'known'],
    ['a name in a list', line('gpu-b,gpu-a,10.0.0.1'), 'known'],
    ['a name in capitals', line('GPU-A'), 'known'],
    ['a pattern', line('gpu-?'), 'known'],
    ['a pattern with an exception', line('gpu-*,!gpu-a'), 'unknown'],
    ['a dot is a dot', line('gpu.a'), 'unknown'],
    ['another name', line('gpu-b'), 'unknown'],
    ['another key', line('gpu-a', other), 'changed'],
    ['another type only', line('gpu-a', rsa, 'ssh-rsa'), 'changed'],
    ['two keys, one of them right', line('gpu-a', other) + line('gpu-a'), 'known'],
    ['comments, blanks and nonsense', `# ${line('gpu-a')}\n\nnonsense\n@odd ${line('gpu-a')}`, 'unknown'],
    ['a revoked key', `${line('gpu-a')}@revoked ${line('*')}`, 'revoked'],
    ['an authority is not a key', `@cert-authority ${line('*')}`, 'unknown'],
    ['another port', line('[gpu-a]:2222'), 'unknown'],
  ])('%s', (_, text, verdict) => expect(judge(text)).toBe(verdict));

  it('looks at the port', () => {
    expect(judge(line('[gpu-a]:2222'), 'gpu-a', 2222)).toBe('known');
    expect(judge(line('gpu-a'), 'gpu-a', 2222)).toBe('known');
    expect(judge(line('gpu-a', other), 'gpu-a', 2222)).toBe('unknown');
    expect(judge(line('[gpu-a]:2222', other) + line('gpu-a', rsa, 'ssh-rsa'), 'gpu-a', 2222)).toBe('changed');
    expect(hostWithPort('fd00::1', 2222)).toBe('[fd00::1]:2222');
  });

  it('reads hashed names', () => {
    // echo of `ssh-keygen -H`: HMAC-SHA1 of `gpu-a` with the salt `salt-salt-salt-salt-`
    const salt = Buffer.from('salt-salt-salt-salt-').toString('base64');
    const hash = 'OVjmduf6IHyxJ9r5+TJ3RUwMWi8=';
    const text = line(`|1|${salt}|${hash}`);
    expect(judge(text)).toBe('known');
    expect(judge(text, 'gpu-b')).toBe('unknown');
  });

  it('says which types are known', () => {
    expect(knownTypes(parseKnownHosts(line('gpu-a') + line('gpu-b', rsa, 'ssh-rsa'), 'f'), 'gpu-a', 22)).toEqual([
      'ssh-ed25519',
    ]);
  });
});
