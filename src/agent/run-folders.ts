import { readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import type { AgentPaths } from '../deployment/state-dir.ts';
import { type ShimExit, ShimProcess } from '../supervise/shim-process.ts';

/** Incarnations whose folders stay, for whoever looks into a crash. */
const KEPT = 3;

/** The folders of the incarnations of one process. */
export class RunFolders {
  readonly #parent: string;

  constructor(paths: AgentPaths, processName: string) {
    this.#parent = path.join(paths.runs, processName);
  }

  of(incarnation: number): string {
    return path.join(this.#parent, String(incarnation));
  }

  /** An incarnation that was begun and never came to be may have left its folder. */
  clear(incarnation: number): string {
    const folder = this.of(incarnation);
    rmSync(folder, { recursive: true, force: true });
    return folder;
  }

  /** How it ended, as its shim recorded it; both null when it never came to that. */
  exitOf(incarnation: number): ShimExit {
    return ShimProcess.exitOf(this.of(incarnation)) ?? { code: null, signal: null };
  }

  prune(incarnation: number): void {
    for (const entry of readdirSync(this.#parent)) {
      if (Number(entry) < incarnation - KEPT) rmSync(path.join(this.#parent, entry), { recursive: true, force: true });
    }
  }
}
