import { Etcd3, type IOptions, isRecoverableError } from 'etcd3';
import { explainEtcdError } from './etcd-errors.ts';
import type { EtcdSettings } from './etcd-settings.ts';

type Policy = NonNullable<NonNullable<IOptions['faultHandling']>['global']>;

/** One endpoint. Watches have a client of their own: ending a stream makes the library close that client's connections. */
export interface EtcdEndpoint {
  url: string;
  records: Etcd3;
  watches: Etcd3;
}

/**
 * The members of an etcd cluster, one of them preferred until it fails. Each try has a deadline, and there are no retries but
 * on other members: the library's own circuit breaker would stay open for seconds after the store is back.
 */
export class EtcdEndpoints {
  readonly #settings: EtcdSettings;
  readonly #endpoints: EtcdEndpoint[];
  #preferred = 0;

  /** `timeoutMs`: for one call over all members. */
  constructor(settings: EtcdSettings, timeoutMs: number) {
    this.#settings = settings;
    const attemptMs = Math.max(500, timeoutMs / settings.endpoints.length);
    this.#endpoints = settings.endpoints.map((url) => ({
      url,
      records: createClient(url, settings, attemptMs),
      watches: createClient(url, settings, attemptMs),
    }));
  }

  /** The member that answered last. */
  get preferred(): EtcdEndpoint {
    return this.#endpoints[this.#preferred]!;
  }

  /** Runs `work` on the preferred member, then on the others while they cannot be reached. `attempt` counts from 0. */
  async call<T>(work: (client: Etcd3, attempt: number) => Promise<T>): Promise<T> {
    const first = this.#preferred;
    for (let attempt = 0; ; attempt += 1) {
      const index = (first + attempt) % this.#endpoints.length;
      try {
        const result = await work(this.#endpoints[index]!.records, attempt);
        this.#preferred = index;
        return result;
      } catch (error) {
        const isLast = attempt === this.#endpoints.length - 1;
        if (!isLast && error instanceof Error && isRecoverableError(error)) continue;
        // The next call begins elsewhere.
        if (isLast && this.#preferred === first) this.#preferred = (index + 1) % this.#endpoints.length;
        throw explainEtcdError(error, { urls: this.#settings.endpoints, user: this.#settings.auth?.username });
      }
    }
  }

  close(): void {
    for (const { records, watches } of this.#endpoints) {
      records.close();
      watches.close();
    }
  }
}

function createClient(url: string, settings: EtcdSettings, attemptMs: number): Etcd3 {
  return new Etcd3({
    hosts: [url],
    ...(settings.credentials ? { credentials: settings.credentials } : {}),
    ...(settings.auth ? { auth: settings.auth } : {}),
    faultHandling: { global: ONCE, host: () => ONCE },
    defaultCallOptions: (context) => (context.isStream ? {} : { deadline: Date.now() + attemptMs }),
    grpcOptions: {
      // A proxy meant for the outside must not come between.
      'grpc.enable_http_proxy': 0,
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 1_000,
      // A watch would wait forever on a member that is gone without a word. Etcd closes who asks more often than every 5 s.
      'grpc.keepalive_time_ms': 10_000,
      'grpc.keepalive_timeout_ms': 5_000,
      // A page of records may be large; the server sets no limit either.
      'grpc.max_receive_message_length': -1,
    },
  });
}

const UNHEARD = () => ({ dispose: () => {} });

/** The library's policy interface, doing nothing. */
const ONCE = {
  _altReturn: undefined as never,
  onSuccess: UNHEARD,
  onFailure: UNHEARD,
  execute: async (work) => work({ signal: new AbortController().signal }),
} satisfies Policy as Policy;
