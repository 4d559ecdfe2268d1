import { describe, expect, it } from 'vitest';
import { describeStranger, type RunMember, strangeSockets } from '../../../src/supervise/port-strangers.ts';

const socket = (inode: string) => ({ address: '127.0.0.1', port: 8100, uid: 1000, inode });
const member = (program: string, ...inodes: string[]): RunMember => ({ program, sockets: new Set(inodes) });
const strange = (inodes: string[], members: RunMember[]) =>
  strangeSockets(inodes.map(socket), members).map(({ inode }) => inode);

describe('who listens on a port of a run', () => {
  it('is the run when one of its processes has the socket open', () => {
    expect(strange(['7'], [member('sh'), member('python3', '3', '7')])).toEqual([]);
    expect(strange([], [member('sh')])).toEqual([]);
  });

  it('is a stranger when none has, also beside a socket of its own that shares the port', () => {
    expect(strange(['7'], [member('sh'), member('python3', '3')])).toEqual(['7']);
    expect(strange(['3', '7'], [member('sh'), member('python3', '3')])).toEqual(['7']);
  });

  it('is not told where a process of the run hides what it has open, or there is none any more', () => {
    expect(strange(['7'], [member('sh'), { program: 'python3', sockets: undefined }])).toEqual([]);
    expect(strange(['7'], [])).toEqual([]);
  });

  it.each(['docker', 'podman', 'srun', 'sudo'])('is not told where %s has somebody else run the engine', (program) => {
    expect(strange(['7'], [member('sh'), member(program)])).toEqual([]);
  });

  it('is named as far as can be seen', () => {
    expect(describeStranger({ user: 'bob', holder: { pid: 9, command: 'python3 -m http.server' } })).toBe(
      'pid 9 (python3 -m http.server; user bob)',
    );
    expect(describeStranger({ user: 'bob', holder: undefined })).toBe(
      'a process of user bob, not to be seen from here',
    );
  });
});
