import { describe, expect, it } from 'vitest';
import { socketPath } from '../../../src/supervise/socket-path.ts';

describe('socketPath', () => {
  it('lies in its folder while the path is short enough', () => {
    expect(socketPath('/state/demo', 'agent')).toBe('/state/demo/agent.sock');
  });

  it('is short, the same each time and different for each folder and name when the folder is long', () => {
    const long = `/home/${'someone/'.repeat(20)}demo`;
    const found = socketPath(long, 'agent');
    expect(Buffer.byteLength(found)).toBeLessThanOrEqual(100);
    expect(found).toMatch(/^\/tmp\/dynamo-\d+\/[0-9a-f]{24}\.sock$/);
    expect(socketPath(long, 'agent')).toBe(found);
    expect(new Set([found, socketPath(long, 'controller'), socketPath(`${long}2`, 'agent')]).size).toBe(3);
  });

  it('counts bytes, not characters', () => {
    expect(socketPath(`/${'ü'.repeat(48)}`, 'a')).toMatch(/^\/tmp\//);
    expect(socketPath(`/${'u'.repeat(48)}`, 'a')).toMatch(/^\/u/);
  });
});
