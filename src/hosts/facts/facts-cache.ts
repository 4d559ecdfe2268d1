import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { readJsonFile, writeFileAtomic } from '../../base/atomic-file.ts';
import type { HostEntry } from '../host-entry.ts';
import { type HostFacts, hostFactsSchema } from '../host-facts.ts';

/**
 * The last facts of each host, one file a host: what a boot does not change need not be asked again, and `hosts show --cached` has
 * something to show of a host that is away. A file that is damaged, of another format or of another address counts as none.
 */
export class FactsCache {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  read(entry: HostEntry): HostFacts | undefined {
    try {
      const kept = readJsonFile(this.#file(entry)) as { address?: unknown; facts?: unknown } | undefined;
      if (kept?.address !== entry.address) return undefined;
      return hostFactsSchema.safeParse(kept.facts).data;
    } catch {
      return undefined;
    }
  }

  /** Not being able to keep them is no reason to fail. */
  write(entry: HostEntry, facts: HostFacts): void {
    try {
      mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
      const text = JSON.stringify({ address: entry.address, facts });
      writeFileAtomic(this.#file(entry), text, { durable: false });
    } catch {
      // Asked again next time.
    }
  }

  #file(entry: HostEntry): string {
    return path.join(this.#folder, `${entry.name}.json`);
  }
}
