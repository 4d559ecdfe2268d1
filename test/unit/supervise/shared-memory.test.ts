import { describe, expect, it } from 'vitest';
import { idOf, sharedInMaps } from '../../../src/supervise/shared-memory.ts';

// Recorded: a Python process with shared memory and a semaphore, which is linked from its first name and unlinked from that.
const MAPS = `555a1c2d0000-555a1c2d1000 r--p 00000000 08:01 131 /usr/bin/python3.12
7fc2f7d30000-7fc2f7d31000 rw-s 00000000 00:1b 9449                       /dev/shm/sem.sA8jfY (deleted)
7fc2f7d31000-7fc2f7d32000 rw-s 00000000 00:1b 9448                       /dev/shm/psm_c8730319
7fc2f7d32000-7fc2f7d33000 rw-s 00000000 00:01 77                         /memfd:/dev/shm/x (deleted)
7fc2f7d33000-7fc2f7d34000 rw-s 00000000 fd:00 9999                       /home/dev/shm/psm_1
7ffd5c1e0000-7ffd5c201000 rw-p 00000000 00:00 0                          [stack]
`;

describe('shared memory of a process', () => {
  it('is read from its maps, by device and inode: a name may have been another', () => {
    expect(sharedInMaps(MAPS)).toEqual(['00:1b 9449', '00:1b 9448']);
    expect(sharedInMaps('')).toEqual([]);
    expect(sharedInMaps('garbage /dev/shm/x')).toEqual([]);
  });

  it('has devices as the kernel prints them', () => {
    expect(idOf({ dev: 27, ino: 9448 })).toBe('00:1b 9448');
    expect(idOf({ dev: 0x801, ino: 1 })).toBe('08:01 1');
    // Minor 256 and up lie in higher bits.
    expect(idOf({ dev: 0x10_0000, ino: 1 })).toBe('00:100 1');
    expect(idOf({ dev: 0x10_3005, ino: 1 })).toBe('30:105 1');
  });
});
