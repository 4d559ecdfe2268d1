/*
 * One watch of a key range.
 *
 *   closed ──renew()──► opening ── created ──► open ── renew() finds another member preferred ──► opening
 *      ▲                   │                     │
 *      └───────────────────┴─────────────────────┘ error, end, cancelled (compaction, no permission any more)
 *   any ── dispose ──► disposed
 *
 * A watch always begins now, never at an earlier revision: whatever it missed, the full list that follows each renew() shows.
 * So a compaction cannot stop it from going on.
 */
import type { IDuplexStream, IWatchRequest, IWatchResponse } from 'etcd3';
import type { EtcdEndpoint, EtcdEndpoints } from './etcd-endpoints.ts';
import type { HintSource } from './record-store.ts';

type Stream = IDuplexStream<IWatchRequest, IWatchResponse>;

/** How long `renew` waits for the server to confirm a watch; a later confirmation counts too. */
const CONFIRM_MS = 1_000;
/** A watch that lasted shorter than this asks for no list when it ends: else a server that ends each at once is asked forever. */
const BRIEF_MS = 2_000;

interface Watch {
  endpoint: EtcdEndpoint;
  openedAtMs: number;
  isConfirmed: boolean;
  stream?: Stream;
}

export class EtcdHints implements HintSource {
  readonly #endpoints: EtcdEndpoints;
  readonly #range: { start: Buffer; end: Buffer };
  readonly #onHint: (key: Buffer | null) => void;
  #watch: Watch | undefined;
  #isDisposed = false;

  /** `onHint` gets the key that changed, or null when any may have. */
  constructor(endpoints: EtcdEndpoints, range: { start: Buffer; end: Buffer }, onHint: (key: Buffer | null) => void) {
    this.#endpoints = endpoints;
    this.#range = range;
    this.#onHint = onHint;
  }

  async renew(): Promise<void> {
    const endpoint = this.#endpoints.preferred;
    if (this.#isDisposed || this.#watch?.endpoint === endpoint) return;
    this.#close();
    const watch: Watch = { endpoint, openedAtMs: performance.now(), isConfirmed: false };
    this.#watch = watch;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, CONFIRM_MS);
      const settled = () => {
        clearTimeout(timer);
        resolve();
      };
      void this.#open(watch, settled).catch(() => {
        this.#end(watch);
        settled();
      });
    });
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.#close();
  }

  async #open(watch: Watch, settled: () => void): Promise<void> {
    const stream = await watch.endpoint.watches.watchClient.watch();
    watch.stream = stream;
    const over = () => {
      this.#end(watch);
      settled();
    };
    // Stays after the watch was closed: an error nobody hears would end the process.
    stream.on('error', over);
    stream.on('end', over);
    stream.on('data', (response) => {
      if (this.#watch !== watch) return;
      if (response.canceled) over();
      else if (response.created) {
        watch.isConfirmed = true;
        settled();
        if (performance.now() - watch.openedAtMs >= CONFIRM_MS) this.#onHint(null);
      } else for (const event of response.events) this.#onHint(event.kv.key);
    });
    if (this.#watch !== watch) stream.cancel();
    else stream.write({ create_request: { key: this.#range.start, range_end: this.#range.end } });
  }

  #end(watch: Watch): void {
    watch.stream?.cancel();
    if (this.#watch !== watch) return;
    this.#watch = undefined;
    const wasBrief = performance.now() - watch.openedAtMs < BRIEF_MS;
    if (watch.isConfirmed && !wasBrief) this.#onHint(null);
  }

  #close(): void {
    const watch = this.#watch;
    this.#watch = undefined;
    watch?.stream?.cancel();
  }
}
