import { readdirSync, readFileSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { messageOf, systemCode } from '../../base/errors.ts';

/** What can be known of a model without asking anybody: its folder, here or in the hub's cache. */
export type ModelFinding =
  /** `cached`: a copy that the hub's client keeps, which the engine completes by itself. */
  | { kind: 'found'; folder: string; files: string[]; cached: boolean }
  /** One file, as llama.cpp takes it. */
  | { kind: 'file'; path: string }
  | { kind: 'missing'; path: string }
  | { kind: 'unusable'; problem: string }
  /** A hub id that is not cached here. */
  | { kind: 'unknown' };

/** With its parsed config.json where there is one. */
type Found = Exclude<ModelFinding, { kind: 'found' }> | (Extract<ModelFinding, { kind: 'found' }> & { json: unknown });

/** Looks where the engine will look. `env`: what the engine gets. Reads files, never the network. */
export function findModel(model: string, env: NodeJS.ProcessEnv, revision = 'main'): Found {
  if (path.isAbsolute(model)) return findLocal(model);
  const folder = cachedFolder(model, env, revision);
  if (folder === undefined) return { kind: 'unknown' };
  const found = readFolder(folder, true);
  // The engine's hub client fetches what is missing.
  return found.kind === 'unusable' ? { kind: 'unknown' } : found;
}

function findLocal(place: string): Found {
  try {
    return statSync(place).isDirectory() ? readFolder(place, false) : { kind: 'file', path: place };
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return { kind: 'missing', path: place };
    return { kind: 'unusable', problem: `${place} cannot be read: ${code ?? messageOf(error)}` };
  }
}

function readFolder(folder: string, cached: boolean): Found {
  let files: string[];
  try {
    files = readdirSync(folder);
  } catch (error) {
    return { kind: 'unusable', problem: `${folder} cannot be read: ${systemCode(error) ?? messageOf(error)}` };
  }
  const config = path.join(folder, 'config.json');
  if (!files.includes('config.json')) return { kind: 'unusable', problem: `${folder} has no config.json` };
  try {
    return { kind: 'found', folder, json: JSON.parse(readFileSync(config, 'utf8')), files, cached };
  } catch (error) {
    const why = error instanceof SyntaxError ? `is not JSON: ${error.message}` : `cannot be read: ${systemCode(error)}`;
    return { kind: 'unusable', problem: `${config} ${why}` };
  }
}

/** Layout of huggingface_hub: `models--ORG--NAME/refs/main` names the folder below `snapshots/`. */
function cachedFolder(model: string, env: NodeJS.ProcessEnv, revision: string): string | undefined {
  if (!/^[\w.-]+(\/[\w.-]+)?$/.test(model) || model.includes('..')) return undefined;
  const repository = path.join(hubCache(env), `models--${model.replace('/', '--')}`);
  const snapshot = readLine(path.join(repository, 'refs', revision)) ?? revision;
  const folder = path.join(repository, 'snapshots', snapshot);
  try {
    return statSync(folder).isDirectory() ? folder : undefined;
  } catch {
    return undefined;
  }
}

function hubCache(env: NodeJS.ProcessEnv): string {
  const cache = env['XDG_CACHE_HOME'] ?? path.join(env['HOME'] ?? os.homedir(), '.cache');
  return env['HF_HUB_CACHE'] ?? path.join(env['HF_HOME'] ?? path.join(cache, 'huggingface'), 'hub');
}

function readLine(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return undefined;
  }
}
