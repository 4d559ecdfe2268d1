import { execFileSync } from 'node:child_process';
import os from 'node:os';
import { describe, expect, it } from 'vitest';
import { hasTestHosts, TestHosts } from '../../helpers/test-hosts.ts';
import { waitFor } from '../../helpers/until.ts';

/** The hosts that the other tests of this folder use are what they claim to be. */
describe.skipIf(!hasTestHosts)('test hosts', () => {
  it('have processes, names, homes, temporary folders and boots of their own, and leave nothing behind', async () => {
    const before = Object.keys(os.networkInterfaces()).sort();
    {
      await using net = await TestHosts.start(2);
      const [one, two] = net.hosts as [(typeof net.hosts)[0], (typeof net.hosts)[0]];
      const ssh = (address: string, command: string) =>
        execFileSync(
          'ssh',
          [
            ...[
              '-F',
              'none',
              '-i',
              net.key,
              '-o',
              `UserKnownHostsFile=${net.knownHosts}`,
              '-o',
              'BatchMode=yes',
              '-o',
              'ConnectTimeout=5',
            ],
            ...['-o', 'StrictHostKeyChecking=yes', `${one.user}@${address}`, command],
          ],
          { encoding: 'utf8', stdio: 'pipe' },
        );
      expect(ssh(one.address, 'hostname; touch /tmp/mine ~/mine; ls /tmp ~; node -v')).toBe(
        `host-1\n${os.userInfo().homedir}:\nmine\n\n/tmp:\nmine\n${process.version}\n`,
      );
      expect(ssh(two.address6, 'hostname; ls /tmp ~')).toBe(`host-2\n${os.userInfo().homedir}:\n\n/tmp:\n`);
      const boot = ssh(one.address, 'cat /proc/sys/kernel/random/boot_id');
      expect(ssh(two.address, 'cat /proc/sys/kernel/random/boot_id')).not.toBe(boot);
      expect(ssh(one.address, 'ls /sys/class/net')).toBe('eth0\nlo\n');
      expect(one.processes()).toEqual([]);
      ssh(one.address, 'setsid sleep 600 </dev/null >/dev/null 2>&1 &');
      await waitFor('its process to be what it will be', () => one.processes().join() === 'sleep 600');
      expect(two.processes()).toEqual([]);
      await one.reboot();
      expect(one.processes()).toEqual([]);
      expect(ssh(one.address, 'cat /proc/sys/kernel/random/boot_id; ls ~ /tmp')).not.toContain(boot);
      await one.kill();
      expect(() => ssh(one.address, 'true')).toThrow();
    }
    expect(Object.keys(os.networkInterfaces()).sort()).toEqual(before);
  });
});
