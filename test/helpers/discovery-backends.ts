import { randomUUID } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Etcd3 } from 'etcd3';
import { DynamoError } from '../../src/base/errors.ts';
import type { Discovery } from '../../src/discovery/discovery.ts';
import { createEtcdDiscovery } from '../../src/discovery/etcd.ts';
import { createFileDiscovery } from '../../src/discovery/file.ts';
import { createMemoryDiscovery, createMemorySpace } from '../../src/discovery/memory.ts';
import type { EtcdServer } from './etcd-server.ts';

export interface OpenOptions {
  ttlMs?: number;
  now?: () => number;
  useHints?: boolean;
  deployment?: string;
}

/** One store that several discovery handles share, and what can be done to it behind their backs. */
export interface Backend {
  open(options?: OpenOptions): Promise<Discovery>;
  /** Puts text under a key, as anybody could. */
  plant(key: string, text: string): Promise<void>;
  /** Takes a key away. */
  steal(key: string): Promise<void>;
  keys(): Promise<string[]>;
  /** Makes the store unusable, or usable again with what it held. */
  setBroken(broken: boolean): Promise<void>;
  destroy(): Promise<void>;
}

export const DEPLOYMENT = 'demo';
const TTL_MS = 300;

export async function createMemoryBackend(): Promise<Backend> {
  const space = createMemorySpace();
  const texts = () => space.texts.get(DEPLOYMENT) ?? new Map<string, string>();
  return {
    open: async (options = {}) => createMemoryDiscovery(space, { deployment: DEPLOYMENT, ttlMs: TTL_MS, ...options }),
    plant: async (key, text) => void space.texts.set(DEPLOYMENT, new Map([...texts(), [key, text]])),
    steal: async (key) => void texts().delete(key),
    keys: async () => [...texts().keys()],
    setBroken: async (broken) => {
      space.failure = broken ? new DynamoError('DISCOVERY_UNREACHABLE', 'the store is away') : null;
    },
    destroy: async () => {},
  };
}

export interface FileBackend extends Backend {
  root: string;
  folder: string;
}

export async function createFileBackend(): Promise<FileBackend> {
  const own = await mkdtemp(path.join(os.tmpdir(), 'dynamo-discovery-'));
  await chmod(own, 0o755); // other users shall get as far as `root`
  const root = path.join(own, 'root');
  const spare = path.join(own, 'spare');
  await mkdir(path.join(own, 'real'));
  await symlink('real', root);
  const folder = path.join(root, DEPLOYMENT);
  return {
    root,
    folder,
    open: (options = {}) => createFileDiscovery(root, { deployment: DEPLOYMENT, ttlMs: TTL_MS, ...options }),
    plant: async (key, text) => {
      await mkdir(folder, { recursive: true });
      await writeFile(path.join(folder, `${key}.json`), text);
    },
    steal: (key) => rm(path.join(folder, `${key}.json`), { force: true }),
    keys: async () => (await readdir(folder).catch(() => [])).map((name) => name.replace(/\.json$/, '')),
    // A file where a folder should be: every access fails, even for root. In one step each way: nobody finds a place to make a folder anew.
    setBroken: async (broken) => {
      if (broken) await writeFile(spare, '');
      else await symlink('real', spare);
      await rename(spare, root);
    },
    destroy: () => rm(own, { recursive: true, force: true, maxRetries: 10 }),
  };
}

/** A key prefix of its own in `server`. Breaking it kills the server; it comes back with its data. */
export async function createEtcdBackend(server: EtcdServer): Promise<Backend> {
  const prefix = `/test/${randomUUID()}`;
  const folder = `${prefix}/${DEPLOYMENT}/records/`;
  // A client at first use: its connection would outlive the server it was made for.
  const use = async <T>(work: (client: Etcd3) => Promise<T>): Promise<T> => {
    const client = new Etcd3({ hosts: server.url });
    try {
      return await work(client);
    } finally {
      client.close();
    }
  };
  return {
    open: (options = {}) =>
      createEtcdDiscovery(
        { backend: 'etcd', endpoints: [server.url], prefix },
        { deployment: DEPLOYMENT, ttlMs: TTL_MS, ...options },
      ),
    plant: (key, text) => use(async (client) => void (await client.put(`${folder}${key}`).value(text))),
    steal: (key) => use(async (client) => void (await client.delete().key(`${folder}${key}`))),
    keys: () =>
      use(async (client) => (await client.getAll().prefix(folder).keys()).map((key) => key.slice(folder.length))),
    setBroken: (broken) => (broken ? server.kill() : server.up()),
    destroy: () => use(async (client) => void (await client.delete().prefix(prefix))),
  };
}
