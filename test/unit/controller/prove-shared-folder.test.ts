import { readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { proveSharedFolder } from '../../../src/controller/prove-shared-folder.ts';
import { SharedFolder } from '../../../src/discovery/shared-folder.ts';
import type { AgentMethods } from '../../../src/supervise/protocol.ts';
import { tmpDir } from '../../helpers/tmp-dir.ts';

type Link = Parameters<typeof proveSharedFolder>[1][number];

/** An agent that sees the discovery folder at `root`. */
function agentOn(host: string, root: string): Link {
  const folder = new SharedFolder(root, 'demo', 50);
  const answers = {
    showNonce: ({ nonce }: AgentMethods['showNonce']['params']) => folder.show(host, nonce).then(() => null),
    unseenNonces: async ({ nonces }: AgentMethods['unseenNonces']['params']) => ({
      unseen: await folder.unseen(nonces),
    }),
  };
  const request = (method: keyof typeof answers, params: never) => answers[method](params);
  return { host, request: request as Link['request'] };
}

const plan = { deployment: 'demo', discovery: { backend: 'file' as const, ttlMs: 10_000 } };

describe('proveSharedFolder', () => {
  it('is content when all see one folder, whatever its path on each host, and leaves nothing in it', async () => {
    using tmp = tmpDir();
    const root = path.join(tmp.dir, 'root');
    symlinkSync(root, path.join(tmp.dir, 'mounted-elsewhere'));
    await proveSharedFolder(
      plan,
      [agentOn('h1', root), agentOn('h2', path.join(tmp.dir, 'mounted-elsewhere'))],
      root,
      5_000,
    );
    expect(readdirSync(path.join(root, 'demo'))).toEqual([]);
  });

  it('names who does not see whom when a host has a folder of its own', async () => {
    using tmp = tmpDir();
    const at = (name: string) => path.join(tmp.dir, name);
    const links = [agentOn('h1', at('a')), agentOn('h2', at('b'))];
    await expect(proveSharedFolder(plan, links, at('a'), 50)).rejects.toMatchObject({
      code: 'DISCOVERY_NOT_SHARED',
      details: [
        'controller does not see what h2 wrote',
        'h1 does not see what h2 wrote',
        'h2 does not see what controller, h1 wrote',
      ],
      hint: expect.stringMatching(/discovery\.backend: etcd/),
    });
    expect(readdirSync(path.join(at('a'), 'demo'))).toEqual([]);
  });

  it('does not take the leftovers of an earlier proof for this one', async () => {
    using tmp = tmpDir();
    const [a, b] = [path.join(tmp.dir, 'a'), path.join(tmp.dir, 'b')];
    await new SharedFolder(b, 'demo').show('h1', 'earlier');
    await new SharedFolder(b, 'demo').show('controller', 'earlier');
    const links = [agentOn('h1', a), agentOn('h2', b)];
    await expect(proveSharedFolder(plan, links, a, 50)).rejects.toMatchObject({ code: 'DISCOVERY_NOT_SHARED' });
  });

  it('says what is wrong with a folder that cannot be written', async () => {
    using tmp = tmpDir();
    const file = path.join(tmp.dir, 'file');
    writeFileSync(file, '');
    const links = [agentOn('h1', file), agentOn('h2', file)];
    await expect(proveSharedFolder(plan, links, file, 50)).rejects.toThrow(/ENOTDIR|EEXIST/);
  });

  it('asks nobody on one host, or with etcd', async () => {
    const nobody: Link = { host: 'h', request: () => Promise.reject(new Error('asked')) };
    await proveSharedFolder(plan, [nobody], '/nowhere');
    const etcd = { backend: 'etcd' as const, ttlMs: 1, endpoints: ['http://a:2379'] };
    await proveSharedFolder({ deployment: 'demo', discovery: etcd }, [nobody, nobody], '/nowhere');
  });
});
