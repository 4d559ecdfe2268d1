import { DynamoError, messageOf } from '../base/errors.ts';
import { createDiscovery, type DiscoveryBackendSpec } from '../discovery/create-discovery.ts';
import type { Discovery } from '../discovery/discovery.ts';
import { SharedFolder } from '../discovery/shared-folder.ts';
import type { DiscoverySpec } from '../plan/launch-plan.ts';
import { discoveryBackend } from '../plan/plan-discovery.ts';
import { resolveEnvValue } from './reservations.ts';
import { sentSecret } from './sent-secrets.ts';

/**
 * The agent's handle on the discovery store, which it learns of when a start reserves this host, or from its journal.
 *
 *   closed ─▶ open (a start; its etcd, if it runs one itself, may not be up yet) ─▶ closed
 *      └────▶ open (adopting: the store may be away, and a store that was wiped gets no mark) ─▲
 */
export class AgentStore implements AsyncDisposable {
  readonly #deployment: string;
  readonly #root: string;
  #spec: DiscoverySpec | undefined;
  #discovery: Discovery | undefined;
  #watched: Discovery | undefined;
  #problem: string | null = null;

  /** `root`: this host's folder for the file backend. */
  constructor(deployment: string, root: string) {
    this.#deployment = deployment;
    this.#root = root;
  }

  /** Only a start or an adopted journal gives this agent anything to look for in it. */
  get discovery(): Discovery {
    if (!this.#discovery) throw new Error('this agent has no deployment whose store it could use');
    return this.#discovery;
  }

  /** For a start. Throws `DISCOVERY_UNREACHABLE` or `SECRET_MISSING` unless the start brings the store with it. */
  async reserve(spec: DiscoverySpec): Promise<void> {
    const isOwn = isOwnStore(spec);
    if (this.#discovery && JSON.stringify(spec) === JSON.stringify(this.#spec)) {
      if (!isOwn) await this.#discovery.open();
      return;
    }
    await this[Symbol.asyncDispose]();
    await this.#open(spec, isOwn);
  }

  /** An etcd that the deployment runs itself was not there to be opened when this host was reserved. */
  async openOwn(): Promise<void> {
    if (isOwnStore(this.#spec)) await this.discovery.open();
  }

  /** For what an earlier agent left. Does not look at the store. */
  async adopt(spec: DiscoverySpec): Promise<void> {
    await this.#open(spec, true);
  }

  /** The folder of the file backend, to prove that other hosts see it too; undefined with another backend. */
  get sharedFolder(): SharedFolder | undefined {
    if (this.#spec?.backend !== 'file') return undefined;
    return new SharedFolder(this.#spec.root ?? this.#root, this.#deployment);
  }

  /** Why the store cannot be used now; null while it can. */
  get problem(): string | null {
    return this.#problem;
  }

  /** Follows the store until its handle is closed, once for each handle; `changed` is told when it goes away and when it is back. */
  async watch(changed: (problem: string | null) => void): Promise<void> {
    const { discovery } = this;
    if (this.#watched === discovery) return;
    this.#watched = discovery;
    for await (const event of discovery.watch({ signal: new AbortController().signal })) {
      if (event.type !== 'store' || this.#discovery !== discovery) continue;
      this.#problem = event.message;
      changed(event.message);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const discovery = this.#discovery;
    this.#discovery = undefined;
    this.#problem = null;
    await discovery?.[Symbol.asyncDispose]();
  }

  /** The controller may have sent a password and PEM files that are not on this host. */
  #backend(spec: DiscoverySpec): DiscoveryBackendSpec {
    const backend = discoveryBackend(spec, this.#root);
    if (spec.backend === 'file' || backend.backend === 'file') return backend;
    const { passwordFrom } = spec;
    return {
      ...backend,
      tls: backend.tls && { ...backend.tls, sent: (file) => sentSecret({ fromFile: file }) },
      ...(passwordFrom && { password: { ask: () => readPassword(passwordFrom) } }),
    };
  }

  async #open(spec: DiscoverySpec, mayBeAway: boolean): Promise<void> {
    this.#discovery = await createDiscovery(this.#backend(spec), {
      deployment: this.#deployment,
      ttlMs: spec.ttlMs,
      mayBeAway,
    });
    this.#spec = spec;
  }
}

function isOwnStore(spec: DiscoverySpec | undefined): boolean {
  return spec?.backend === 'etcd' && spec.managed !== undefined;
}

function readPassword(place: { fromEnv: string } | { fromFile: string }): string {
  try {
    return resolveEnvValue(place);
  } catch (cause) {
    throw new DynamoError('SECRET_MISSING', `the etcd password is not there: ${messageOf(cause)}`, { cause });
  }
}
