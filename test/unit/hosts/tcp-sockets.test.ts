import { describe, expect, it } from 'vitest';
import { userName } from '../../../src/hosts/process-facts.ts';
import { listenersAt, parseSocketTable } from '../../../src/hosts/tcp-sockets.ts';

// Recorded on Linux 6.8: one server a line, all on port 8100.
const TABLE = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1FA4 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 101 1 0000000000000000 100 0 0 10 0
   1: 00000000:1FA4 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 102 1 0000000000000000 100 0 0 10 0
   2: 0500000A:1FA4 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 103 1 0000000000000000 100 0 0 10 0
   3: 0100007F:1FA5 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 104 1 0000000000000000 100 0 0 10 0
`;
const TABLE6 = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:1FA4 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 201 1 0000000000000000 100 0 0 10 0
   1: 00000000000000000000000001000000:1FA4 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 202 1 0000000000000000 100 0 0 10 0
   2: 0000000000000000FFFF00000600000A:1FA4 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 203 1 0000000000000000 100 0 0 10 0
   3: B80D0120000000000000000001000000:1FA4 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 204 1 0000000000000000 100 0 0 10 0
`;
const sockets = [...parseSocketTable(TABLE), ...parseSocketTable(TABLE6)];
const at = (host: string, port = 8100, among = sockets) => listenersAt(among, host, port).map(({ inode }) => inode);

describe('listening sockets', () => {
  it('have their addresses as text', () => {
    expect(sockets.map(({ address }) => address)).toEqual([
      ...['127.0.0.1', '0.0.0.0', '10.0.0.5', '127.0.0.1'],
      ...['::', '::1', '::ffff:10.0.0.6', '2001:db8::1'],
    ]);
    expect(sockets.map(({ uid }) => uid)).toEqual([1000, 0, 1000, 1000, 1000, 1000, 1000, 1000]);
  });

  it('are reached at their own address before a wildcard is', () => {
    expect(at('127.0.0.1')).toEqual(['101']);
    expect(at('10.0.0.5')).toEqual(['103']);
    expect(at('10.0.0.6')).toEqual(['203']);
    expect(at('::1')).toEqual(['202']);
    expect(at('[2001:db8:0::1]')).toEqual(['204']);
    expect(at('127.0.0.1', 8101)).toEqual(['104']);
  });

  it('are reached at a wildcard otherwise: IPv4 at its own, then at the one of both', () => {
    expect(at('192.168.0.9')).toEqual(['102']);
    const six = sockets.filter(({ inode }) => inode !== '102');
    expect(at('192.168.0.9', 8100, six)).toEqual(['201']);
    expect(at('fe80::1%eth0')).toEqual(['201']);
    expect(at('127.0.0.1', 8102)).toEqual([]);
  });

  it('share a port when all of them asked for it', () => {
    const shared = [...sockets, { address: '127.0.0.1', port: 8100, uid: 1000, inode: '999' }];
    expect(at('127.0.0.1', 8100, shared)).toEqual(['101', '999']);
  });

  it('are all meant by a name', () => {
    expect(at('localhost', 8101)).toEqual(['104']);
    expect(at('localhost')).toHaveLength(7);
  });
});

it('names users as the host does', () => {
  const passwd = 'root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n';
  expect([0, 1000, 4711].map((uid) => userName(uid, passwd))).toEqual(['root', 'alice', '4711']);
});
