import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, statfsSync } from 'node:fs';
import path from 'node:path';
import { messageOf } from '../base/errors.ts';
import { stateHome } from '../deployment/state-dir.ts';
import { collectFacts } from '../hosts/facts/collect-facts.ts';
import { findCommand } from '../hosts/find-command.ts';
import { LOCAL_HOST } from '../hosts/host-entry.ts';
import { LocalTransport } from '../hosts/local-transport.ts';
import { gpuLockFolder } from '../supervise/lock-folder.ts';
import type { FolderFacts, MachineFacts } from './judge-machine.ts';

const TOOL_TIMEOUT_MS = 10_000;

/** Reads what there is to judge of this machine. Changes nothing. */
export async function readMachine(env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<MachineFacts> {
  await using transport = new LocalTransport();
  const facts = await collectFacts(transport, LOCAL_HOST, { signal });
  return {
    facts,
    nodeVersion: process.version,
    hasFlock: findCommand('flock') !== undefined,
    lockFolder: folder(gpuLockFolder(env)),
    stateFolder: folder(stateHome(env)),
    sharedMemory: sizeOf('/dev/shm'),
    ucxVersion: ucxVersion(),
    hasPeerMemory: ['nvidia_peermem', 'nv_peer_mem'].some((name) => existsSync(`/sys/module/${name}`)),
  };
}

/** Whether it can be written, or made where it is not there yet. */
function folder(file: string): FolderFacts {
  let existing = file;
  while (!existsSync(existing) && existing !== path.dirname(existing)) existing = path.dirname(existing);
  const freeBytes = sizeOf(existing)?.freeBytes ?? null;
  try {
    accessSync(existing, constants.W_OK | constants.X_OK);
    return { path: file, error: null, freeBytes };
  } catch (error) {
    return { path: file, error: messageOf(error), freeBytes };
  }
}

function sizeOf(file: string): { totalBytes: number; freeBytes: number } | null {
  try {
    const { bsize, blocks, bavail } = statfsSync(file);
    return { totalBytes: bsize * blocks, freeBytes: bsize * bavail };
  } catch {
    return null;
  }
}

/** `# Library version: 1.20.0`. */
function ucxVersion(): string | null {
  const program = findCommand('ucx_info');
  if (program === undefined) return null;
  const { stdout } = spawnSync(program, ['-v'], { encoding: 'utf8', timeout: TOOL_TIMEOUT_MS });
  return /Library version:\s*(\S+)/i.exec(stdout ?? '')?.[1] ?? null;
}
