import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import type { DeploymentSnapshot } from '../../../src/deployment/snapshot.ts';
import { type Child, startChild } from './child.ts';

/** The quickstart recipe served from the command line, in a state folder of its own. */
export interface Quickstart extends AsyncDisposable {
  endpoint: string;
  model: string;
  /** Runs another dynamo command on it. */
  dynamo(...args: string[]): Promise<string>;
  status(): Promise<DeploymentSnapshot>;
}

const NAME = 'quickstart';

/** Starts it and returns once it says that it is ready. `home` is an empty folder. */
export async function serveQuickstart(root: string, home: string): Promise<Quickstart> {
  const env = { ...process.env, DYNAMO_HOME: home };
  const command = path.join(root, 'bin', 'dynamo');
  const child = startChild(
    command,
    ['serve', path.join(root, 'recipes/quickstart.yaml'), '--set', 'frontend.port=auto', '--json'],
    env,
  );
  const dynamo = async (...args: string[]): Promise<string> =>
    (await promisify(execFile)(command, args, { env, maxBuffer: 1 << 26 })).stdout;
  const dispose = async (): Promise<void> => {
    await dynamo('stop', NAME, '--force').catch(() => {});
    await child[Symbol.asyncDispose]();
  };
  try {
    const { endpoint, models } = await child.line(readReady, 60_000);
    return {
      endpoint,
      model: models[0] ?? '',
      dynamo,
      status: async () => JSON.parse(await dynamo('status', NAME, '--json')) as DeploymentSnapshot,
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw new Error(`serve did not get ready: ${describe(child)}`, { cause: error });
  }
}

interface Ready {
  endpoint: string;
  models: string[];
}

function readReady(line: string): Ready | undefined {
  const message = JSON.parse(line) as { type: string } & Ready;
  return message.type === 'ready' ? message : undefined;
}

const describe = (child: Child): string => child.stderr().trim().split('\n').slice(-8).join('\n    ');
