import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { FrameReader, frameCommand } from '../../../../src/hosts/ssh/framed-command.ts';

describe('framed commands', () => {
  it('show nothing of the command in the command line', () => {
    const { line } = frameCommand(['cat', 'a secret'], { TOKEN: 'another' });
    expect(line).toMatch(/^exec \/bin\/sh -c 'eval "\$\(dd bs=1 count=\d+ 2>\/dev\/null\)"'$/);
  });

  it('leave what follows them to the command', () => {
    const { line, script, nonce } = frameCommand(['cat'], {});
    const out = execFileSync('/bin/sh', ['-c', line], {
      input: Buffer.concat([script, Buffer.from('rest')]),
      stdio: 'pipe',
    });
    expect(out.toString()).toBe(`\n${nonce}\nrest`);
  });

  it('refuse names that are none', () => {
    expect(() => frameCommand(['true'], { 'A;B': 'x' })).toThrow('cannot name a variable');
  });

  it('find the answer in any cut of the stream', () => {
    const whole = Buffer.from('Welcome\nto the host\n\nmark\nanswer\n\nmark\n');
    for (let at = 0; at <= whole.length; at += 1) {
      const reader = new FrameReader('mark');
      const parts = [reader.push(whole.subarray(0, at)), reader.push(whole.subarray(at))];
      expect(Buffer.concat(parts).toString()).toBe('answer\n\nmark\n');
    }
  });

  it('know what came instead of an answer', () => {
    const reader = new FrameReader('mark');
    expect(reader.push(Buffer.from('no such account\n'))).toHaveLength(0);
    expect([reader.begun, reader.before]).toEqual([false, 'no such account\n']);
  });
});
