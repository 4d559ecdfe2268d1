import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { LONG_SOCKET_DIGITS, LONG_SOCKETS } from '../../../src/hosts/shared-places.ts';
import { gpuLockFolder } from '../../../src/supervise/lock-folder.ts';
import { socketPathOf } from '../../../src/supervise/socket-path.ts';

it('a shell finds a socket whose own path is too long where dynamo puts it', () => {
  const dir = `/home/${'someone/'.repeat(20)}demo`;
  const script = `printf '%s' "$1" | sha256sum | cut -c1-${LONG_SOCKET_DIGITS}`;
  const digest = execFileSync('sh', ['-c', script, 'sh', `${dir}/agent.sock`], { encoding: 'utf8' }).trim();
  expect(socketPathOf(dir, 'agent', 7)).toBe(`${LONG_SOCKETS}7/${digest}.sock`);
});

it('locks lie in one folder, wherever that is', () => {
  expect(gpuLockFolder({ DYNAMO_LOCK_DIR: '/x' })).toBe('/x/dynamo');
  expect(gpuLockFolder({})).toMatch(/^(\/run\/lock|\/tmp)\/dynamo$/);
});
