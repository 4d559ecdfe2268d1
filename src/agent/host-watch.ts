import { pause } from '../base/abort.ts';
import { differs, type GpuUse, watchGpus } from '../hosts/gpu-use.ts';
import { type LinkState, readLinks } from '../hosts/link-state.ts';

/** Links change when a cable or a switch fails: seldom. */
const LINKS_EVERY_MS = 10_000;

/** What the agent tells of its machine beside its processes. Figures that hardly moved are not told anew. */
export class HostWatch {
  #gpus: readonly GpuUse[] = [];
  #told: readonly GpuUse[] = [];
  #links: readonly LinkState[] = readLinks();
  readonly #changed: () => void;

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  get gpus(): GpuUse[] {
    return [...this.#gpus];
  }

  get links(): LinkState[] {
    return [...this.#links];
  }

  /** Until the signal aborts; no child is left then. */
  async run(signal: AbortSignal): Promise<void> {
    const gpus = watchGpus({ signal, random: Math.random, onUse: (use) => this.#takeUse(use) });
    while (!signal.aborted) {
      await pause(LINKS_EVERY_MS, signal);
      const links = readLinks();
      const same = JSON.stringify(links) === JSON.stringify(this.#links);
      this.#links = links;
      if (!same) this.#changed();
    }
    await gpus;
  }

  #takeUse(gpus: GpuUse[]): void {
    this.#gpus = gpus;
    if (!differs(this.#told, gpus)) return;
    this.#told = gpus;
    this.#changed();
  }
}
