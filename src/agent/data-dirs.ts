import { rmSync } from 'node:fs';
import path from 'node:path';
import type { ProcessSpec } from '../plan/launch-plan.ts';

/** Removes the data folder of a process; only below the deployment's folder. Throws what the file system says. */
export function removeDataDir({ dataDir }: ProcessSpec, deploymentDir: string): void {
  if (dataDir === undefined || !path.resolve(dataDir).startsWith(`${path.resolve(deploymentDir)}/`)) return;
  rmSync(dataDir, { recursive: true, force: true });
}
