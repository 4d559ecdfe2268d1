import { pause } from '../base/abort.ts';
import { DynamoError } from '../base/errors.ts';
import { deploymentPaths } from '../deployment/state-dir.ts';
import type { CommitRecord } from '../discovery/discovery.ts';
import type { RecordsAnswer, RecordsRequest } from '../discovery/records-request.ts';
import type { HostEntry } from '../hosts/host-entry.ts';
import type { LaunchPlan } from '../plan/launch-plan.ts';
import type { AgentHost, OpenHost } from './agent-host.ts';
import type { CommitStore } from './commit-store.ts';

const TIMEOUT_MS = 15_000;
/** A link that is cut during a commit leaves it open whether there is one: it is asked again, which changes nothing. */
const TRIES = 3;
const RETRY_MS = 500;

/**
 * The one host, not this machine, that runs all of a plan whose records lie in files: they lie there, so nothing has to be
 * shared. Undefined when any other host has a part, or with etcd.
 */
export function hostOfRecords(
  plan: Pick<LaunchPlan, 'hosts' | 'discovery'>,
  hosts: readonly HostEntry[],
): string | undefined {
  const [only, ...others] = plan.hosts;
  if (plan.discovery.backend !== 'file' || only === undefined || others.length > 0) return undefined;
  const entry = hosts.find(({ name }) => name === only);
  return entry && !entry.local ? only : undefined;
}

/** The records of the file backend in a folder of another host, reached by a command there; no agent has to be up. */
export class StoreElsewhere implements CommitStore {
  readonly #host: string;
  readonly #plan: Pick<LaunchPlan, 'deployment' | 'discovery'>;
  readonly #openHost: OpenHost;
  readonly #closed = new AbortController();
  #at: AgentHost | undefined;

  constructor(host: string, plan: Pick<LaunchPlan, 'deployment' | 'discovery'>, openHost: OpenHost) {
    this.#host = host;
    this.#plan = plan;
    this.#openHost = openHost;
  }

  async open(): Promise<void> {
    await this.#ask({ verb: 'open' });
  }

  async commit(record: CommitRecord): Promise<CommitRecord> {
    return (await this.#ask({ verb: 'commit', record })) as CommitRecord;
  }

  async readCommit(generation: number, revision?: number): Promise<CommitRecord | undefined> {
    const found = await this.#ask({ verb: 'readCommit', generation, ...(revision !== undefined && { revision }) });
    return (found as CommitRecord | null) ?? undefined;
  }

  async clear(options: { forGood: boolean } = { forGood: false }): Promise<void> {
    await this.#ask({ verb: 'clear', ...options });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort();
    await this.#letGo();
  }

  /** Throws `HOST_UNREACHABLE`, and what the store of that host throws. */
  async #ask(request: RecordsRequest): Promise<unknown> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.#askOnce(request);
      } catch (error) {
        const isLink = error instanceof DynamoError && error.code === 'HOST_UNREACHABLE';
        if (!isLink || tries >= TRIES || this.#closed.signal.aborted) throw error;
        await pause(RETRY_MS * tries, this.#closed.signal);
      }
    }
  }

  async #askOnce(request: RecordsRequest): Promise<unknown> {
    if (this.#at?.transport.lost.aborted) await this.#letGo();
    this.#at ??= await this.#openHost(this.#host, this.#closed.signal);
    const { transport, dir, selfCommand, env } = this.#at;
    const { deployment, discovery } = this.#plan;
    const named = discovery.backend === 'file' ? discovery.root : undefined;
    const root = named ?? deploymentPaths(dir).discovery;
    const stdin = JSON.stringify({ ...request, root, deployment, ttlMs: discovery.ttlMs });
    const result = await transport.exec([...selfCommand, 'records'], {
      ...{ stdin, env, timeoutMs: TIMEOUT_MS, signal: this.#closed.signal },
    });
    const answer = parseAnswer(result.stdout.toString());
    if (!answer) {
      throw new DynamoError('DISCOVERY_UNREACHABLE', `${this.#host}: its discovery records cannot be asked for`, {
        details: result.stderr.split('\n').filter(Boolean).slice(-3),
      });
    }
    if ('error' in answer) throw DynamoError.from(answer.error);
    return answer.value;
  }

  async #letGo(): Promise<void> {
    const at = this.#at;
    this.#at = undefined;
    await at?.transport[Symbol.asyncDispose]();
  }
}

function parseAnswer(text: string): RecordsAnswer | undefined {
  try {
    return JSON.parse(text) as RecordsAnswer;
  } catch {
    return undefined;
  }
}
