import { until } from '../../src/base/until.ts';
import type { Discovery, DiscoveryEvent, InstanceRecord } from '../../src/discovery/discovery.ts';

/** Follows a discovery watch: every event in short form, and the state that a consumer would hold. */
export class EventLog {
  readonly lines: string[] = [];
  readonly live = new Map<string, InstanceRecord>();
  readonly ended: Promise<void>;
  readonly #stop = new AbortController();

  constructor(discovery: Discovery) {
    this.ended = this.#follow(discovery);
  }

  /** Waits until `line` has come up, and returns its index. Lines before `from` do not count. */
  async saw(line: string, from = 0): Promise<number> {
    const index = await until(() => found(this.lines.indexOf(line, from)), { deadlineMs: 60_000 });
    if (index === undefined) throw new Error(`no event "${line}" after #${from}; events: ${this.lines.join(' | ')}`);
    return index;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.ended;
  }

  async #follow(discovery: Discovery): Promise<void> {
    for await (const event of discovery.watch({ signal: this.#stop.signal })) this.#apply(event);
  }

  #apply(event: DiscoveryEvent): void {
    if (event.type === 'upsert') {
      const { name, generation, state } = event.instance;
      this.live.set(name, event.instance);
      this.lines.push(`upsert ${name} ${generation} ${state}`);
    } else if (event.type === 'store') this.lines.push(event.message === null ? 'store back' : 'store failed');
    else if (event.type === 'synced') this.lines.push('synced');
    else {
      if (event.type === 'removed') this.live.delete(event.name);
      this.lines.push(`${event.type} ${event.name} ${event.generation}`);
    }
  }
}

function found(index: number): number | undefined {
  return index < 0 ? undefined : index;
}
