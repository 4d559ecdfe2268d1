import { describe, expect, it } from 'vitest';
import { isNewEnough, parseProbe } from '../../../../src/hosts/kit/probe-host.ts';

describe('the probe before the kit', () => {
  it.each([
    ['v22.19.0', true],
    ['v22.18.9', false],
    ['v24.0.0', true],
    ['v18.19.1', false],
    ['v100.1.0', true],
    ['nonsense', false],
  ])('Node %s: %s', (version, fine) => expect(isNewEnough(version)).toBe(fine));

  it('reads what a host says', () => {
    const text =
      'home /home/ann b\nuid 1000\nmachine aarch64\nsystem Linux\nkits /k\nkit whole\nnode v18.0.0 /usr/bin/node\nnode v24.1.0 /opt/my node/node\nend yes\n';
    expect(parseProbe(text)).toEqual({
      ...{ home: '/home/ann b', uid: 1000, arch: 'arm64', platform: 'linux', kitsDir: '/k', kitWhole: true },
      nodes: [{ version: 'v24.1.0', path: '/opt/my node/node' }],
    });
  });

  it('does not take half an answer', () => {
    expect(parseProbe('home /root\nuid 0\n')).toBeUndefined();
  });
});
