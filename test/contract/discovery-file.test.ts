import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readdir, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createFileBackend, type FileBackend } from '../helpers/discovery-backends.ts';
import { EventLog } from '../helpers/event-log.ts';
import { makeInstance } from '../helpers/instance.ts';
import { waitFor } from '../helpers/until.ts';

const fixture = (name: string) => path.resolve(import.meta.dirname, '../fixtures/discovery', name);

describe('Discovery in a folder', () => {
  let backend: FileBackend;
  let cleanup: AsyncDisposableStack;

  beforeEach(async () => {
    backend = await createFileBackend();
    cleanup = new AsyncDisposableStack();
    cleanup.defer(() => backend.destroy());
  });
  afterEach(() => cleanup.disposeAsync());

  const start = (file: string, args: string[], options: { uid?: number; wrap?: string[] } = {}): ChildProcess => {
    const [command, ...rest] = [...(options.wrap ?? []), process.execPath, fixture(file), ...args];
    const child = spawn(command!, rest, {
      stdio: ['pipe', 'pipe', 'inherit'],
      ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
    });
    cleanup.defer(async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    });
    return child;
  };
  const printed = async (child: ChildProcess, line: string): Promise<void> => {
    for await (const chunk of child.stdout!.iterator({ destroyOnReturn: false }))
      if (String(chunk).includes(line)) return;
    throw new Error(`the process ended without printing ${line}`);
  };
  const follow = async (useHints = true): Promise<EventLog> => {
    const log = new EventLog(cleanup.use(await backend.open({ useHints })));
    cleanup.defer(() => log.stop());
    await log.saw('synced');
    return log;
  };

  it('lets one of several processes commit each generation', async () => {
    const racers = ['a', 'b', 'c'].map((hash) => start('commit-racer.ts', [backend.root, 'demo', '1', '200', hash]));
    await Promise.all(racers.map((racer) => printed(racer, 'ready')));
    for (const racer of racers) racer.stdin!.end('go\n');
    const answers = await Promise.all(racers.map(async (racer) => JSON.parse(await text(racer.stdout!))));
    expect(answers[0].length).toBe(200);
    expect(answers[1]).toEqual(answers[0]);
    expect(answers[2]).toEqual(answers[0]);
    expect((await backend.keys()).filter((key) => key.startsWith('.'))).toEqual([]);
  });

  it('sees an owner that is killed lapse, and one that is stopped come back', async () => {
    const log = await follow();
    const owner = start('owner.ts', [backend.root, '300']);
    await log.saw('upsert decode-0 1 ready');
    owner.kill('SIGSTOP');
    const stopped = await log.saw('lapsed decode-0 1');
    owner.kill('SIGCONT');
    const back = await log.saw('upsert decode-0 1 ready', stopped);
    owner.kill('SIGKILL');
    await log.saw('lapsed decode-0 1', back);
    expect(log.lines).not.toContain('removed decode-0 1');
  });

  it.each([true, false])(
    'survives the folder deleted, and replaced by another one (notifications: %s)',
    async (hints) => {
      const owner = cleanup.use(await backend.open());
      await owner.register(makeInstance('decode-0'), {});
      const log = await follow(hints);
      // The owner writes all the while: into the folder that is being removed, and into one that it makes itself.
      await waitFor('the folder to be deleted', () =>
        rm(backend.folder, { recursive: true, force: true }).then(
          () => true,
          () => false,
        ),
      );
      const isBack = async () => (await backend.keys()).includes('instance.decode-0.1');
      await waitFor('the record', isBack);
      await rename(backend.folder, `${backend.folder}.old`);
      await mkdir(backend.folder, { recursive: true });
      await waitFor('the record', isBack);
      expect(log.live.has('decode-0')).toBe(true);
      expect(log.lines).not.toContain('removed decode-0 1');
      // Whatever watches the folder now watches the present one. A long TTL: tombstones stay until they are seen.
      const calm = cleanup.use(await backend.open({ ttlMs: 60_000 }));
      await (await calm.register(makeInstance('decode-1'), {})).release();
      const other = await calm.register(makeInstance('decode-2'), {});
      await log.saw('upsert decode-2 1 ready');
      await other.release();
      await log.saw('removed decode-2 1');
    },
  );

  it('does not take a folder that is gone for one without a commit', async () => {
    const discovery = cleanup.use(await backend.open());
    await discovery.commit({ deployment: 'demo', generation: 1, planHash: 'p', epoch: 1 });
    await rm(backend.folder, { recursive: true });
    await expect(discovery.readCommit(1)).rejects.toMatchObject({ code: 'DISCOVERY_UNREACHABLE' });
  });

  it('skips pipes, links, sockets and folders under record names, and never waits for one', async () => {
    const discovery = cleanup.use(await backend.open());
    await discovery.register(makeInstance('decode-0'), {});
    const at = (name: string) => path.join(backend.folder, `instance.${name}.1.json`);
    execFileSync('mkfifo', [at('pipe')]);
    await symlink(at('decode-0'), at('link'));
    await mkdir(at('folder'));
    const server = createServer().listen(at('socket'));
    cleanup.defer(() => void server.close());
    await once(server, 'listening');
    await writeFile(path.join(backend.folder, 'instance.plain.1'), 'no suffix');
    await writeFile(path.join(backend.folder, '.hidden'), 'not ours');
    const { instances, unreadable } = await discovery.list();
    expect(instances.map(({ name }) => name)).toEqual(['decode-0']);
    expect(Object.fromEntries(unreadable.map(({ key, reason }) => [key, reason]))).toEqual({
      'file:instance.plain.1': 'its name is not that of a discovery record',
      'instance.folder.1': 'it is not a regular file',
      'instance.link.1': 'it is a symbolic link',
      'instance.pipe.1': 'it is not a regular file',
      'instance.socket.1': 'it is not a regular file',
    });
    await unlink(at('pipe'));
  });

  it('repairs a record that was overwritten, at the next refresh', async () => {
    const discovery = cleanup.use(await backend.open());
    await discovery.register(makeInstance('decode-0'), {});
    await backend.plant('instance.decode-0.1', 'garbage');
    await waitFor('the record', async () => (await discovery.list()).instances.length === 1);
  });

  it('removes temporary files that a killed writer left, in time', async () => {
    let clock = 0;
    const observer = cleanup.use(await backend.open({ now: () => clock }));
    await writeFile(path.join(backend.folder, '.tmp-1-abc'), 'half');
    await observer.list();
    clock += 3_000 - 1;
    await observer.list();
    expect(await readdir(backend.folder)).toEqual(['.tmp-1-abc']);
    clock += 1;
    await observer.list();
    expect(await readdir(backend.folder)).toEqual([]);
  });

  it('leaves files of others and the folder alone when it clears', async () => {
    const discovery = cleanup.use(await backend.open());
    await (await discovery.register(makeInstance('decode-0'), {})).release();
    await writeFile(path.join(backend.folder, 'notes.txt'), 'mine');
    await discovery.clear();
    expect(await readdir(backend.folder)).toEqual(['notes.txt']);
    // Every other handle still knows that nothing was committed.
    expect(await cleanup.use(await backend.open()).readCommit(1)).toBeUndefined();
  });

  it('loses a lease on a full disk, withdraws all the same, and recovers with room', async () => {
    await mkdir(backend.folder, { recursive: true });
    const script = 'mount -t tmpfs -o size=64k tmpfs "$1" && exec "$2" "$3" "$1"';
    const wrap = ['unshare', '--map-root-user', '--mount', 'sh', '-c', script, 'sh', backend.folder];
    const child = start('full-disk.ts', [], { wrap });
    const answer = JSON.parse(await text(child.stdout!));
    expect(answer).toEqual({
      lost: expect.stringMatching(/could not be refreshed for 3000 ms: no space left in the discovery folder/),
      refused: 'DISK_FULL',
      back: true,
    });
  });

  it('says so when it has no permission', async () => {
    const other = process.getuid!() === 0 ? { uid: 65534 } : {};
    await backend.open().then((discovery) => discovery[Symbol.asyncDispose]());
    await chmod(backend.root, 0o555);
    await chmod(backend.folder, 0o000);
    const child = start('forbidden.ts', [backend.root], other);
    const answer = JSON.parse(await text(child.stdout!));
    await chmod(backend.folder, 0o700);
    await chmod(backend.root, 0o700);
    const code = 'DISCOVERY_UNREACHABLE';
    expect(answer).toEqual({
      absent: code,
      register: code,
      commit: code,
      readCommit: code,
      list: code,
      watch: 'store',
    });
  });

  it('leaves nothing that keeps a process alive', async () => {
    const child = start('quiet-end.ts', [backend.root]);
    expect(JSON.parse(await text(child.stdout!))).toEqual([]);
    if (child.exitCode === null) await once(child, 'exit');
    expect(child.exitCode).toBe(0);
  });
});
