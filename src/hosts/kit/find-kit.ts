import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { readJsonFile } from '../../base/atomic-file.ts';
import { DynamoError, messageOf } from '../../base/errors.ts';
import { packageRoot } from '../../base/package-root.ts';

/** The part of dynamo that runs on remote hosts, as it lies on this machine. */
export interface Kit {
  /** `VERSION-HASH`, the name of its folder on every host. */
  id: string;
  dir: string;
  /** Relative to `dir`. */
  files: string[];
}

const found = new Map<string, Promise<Kit>>();

/** Finds the kit that belongs to this dynamo; in a source checkout it is built when it is missing or older than the build. */
export function findKit(root: string = packageRoot): Promise<Kit> {
  let kit = found.get(root);
  if (!kit) {
    kit = lookForKit(root);
    found.set(root, kit);
    kit.catch(() => found.delete(root));
  }
  return kit;
}

async function lookForKit(root: string): Promise<Kit> {
  const dir = path.join(root, 'dist', 'kits');
  const script = path.join(root, 'scripts', 'build-kit.mjs');
  const stamp = path.join(root, 'dist', '.built');
  let kit = readKit(dir);
  const current = existsSync(stamp) ? readFileSync(stamp, 'utf8').trim() : null;
  if ((!kit || kit.built !== current) && existsSync(script)) {
    try {
      await promisify(execFile)(process.execPath, [script, '--quiet']);
    } catch (error) {
      throw new DynamoError('HOST_UNREACHABLE', 'the kit for remote hosts could not be built', {
        hint: 'Run `npm run build:kit` and read what it says.',
        details: messageOf(error).split('\n').slice(0, 5),
        cause: error,
      });
    }
    kit = readKit(dir);
  }
  if (!kit) {
    throw new DynamoError('HOST_UNREACHABLE', `this dynamo has no kit for remote hosts in ${dir}`, {
      hint: 'Install dynamo again; in a source checkout run `npm run build:kit`.',
    });
  }
  return { id: kit.id, dir: path.join(dir, kit.id), files: kit.files };
}

function readKit(dir: string): { id: string; files: string[]; built: string | null } | undefined {
  return readJsonFile(path.join(dir, 'kit.json')) as ReturnType<typeof readKit>;
}
