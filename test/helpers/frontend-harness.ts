import { Writable } from 'node:stream';
import { pino } from 'pino';
import type { Instance, Lease } from '../../src/discovery/discovery.ts';
import { createMemoryDiscovery, createMemorySpace } from '../../src/discovery/memory.ts';
import { type Frontend, startFrontend } from '../../src/frontend/frontend.ts';
import type { FrontendOptions } from '../../src/frontend/frontend-options.ts';
import { makeInstance } from './instance.ts';
import { PROCESS_START, type ScriptedWorker } from './scripted-worker.ts';
import { waitFor } from './until.ts';

export interface FrontendHarness extends AsyncDisposable {
  frontend: Frontend;
  url: string;
  /** Parsed log lines. */
  log: Record<string, unknown>[];
  /** Publishes a worker and waits until the frontend knows it. `signal` ends its refreshing, so that it lapses. */
  publish(name: string, worker: ScriptedWorker, fields?: Partial<Instance>, signal?: AbortSignal): Promise<Lease>;
  post(body: object, path?: string, headers?: Record<string, string>): Promise<Response>;
  /** A value of /metrics, summed over labels; 0 when it is not there. */
  metric(name: string, label?: string): Promise<number>;
  /** The log line of the request, once it has ended. */
  ended(requestId: string): Promise<Record<string, unknown>>;
}

/** So long that no worker lapses while this process stands still; a test of lapses asks for less. */
const TTL_MS = 30_000;

/** A frontend in this process over discovery in memory. */
export async function startHarness(options: Partial<FrontendOptions> = {}): Promise<FrontendHarness> {
  const space = createMemorySpace();
  const ttlMs = options.discoveryTtlMs ?? TTL_MS;
  const open = () => createMemoryDiscovery(space, { deployment: 'demo', ttlMs });
  const log: Record<string, unknown>[] = [];
  const sink = new Writable({
    write(line: Buffer, _encoding, done) {
      log.push(JSON.parse(line.toString()) as Record<string, unknown>);
      done();
    },
  });
  const watcher = open();
  const agent = open();
  const frontend = await startFrontend(
    {
      httpHost: '127.0.0.1',
      httpPort: 0,
      deployment: 'demo',
      processName: 'frontend',
      discovery: { backend: 'file', root: '' },
      discoveryTtlMs: ttlMs,
      routerMode: 'round-robin',
      kvCacheBlockSize: 16,
      overlapScoreCredit: 1,
      prefillLoadScale: 1,
      temperature: 0,
      routerTtlMs: 120_000,
      decodeFallback: false,
      kvLeaseMs: 30_000,
      kvTransferGuard: 'auto',
      kvQuarantineMs: 30_000,
      requestTimeoutMs: 30_000,
      bodyLimitBytes: 8 * 1024 * 1024,
      drainTimeoutMs: 1_000,
      trustClientPins: false,
      seed: 1,
      ...options,
    },
    watcher,
    pino({}, sink),
  );
  const url = `http://127.0.0.1:${frontend.port}`;
  return {
    frontend,
    url,
    log,
    async publish(name, worker, fields = {}, signal) {
      const role = name.startsWith('prefill') ? 'prefill' : name.startsWith('decode') ? 'decode' : 'aggregated';
      const instance = makeInstance(name, 1, {
        role,
        model: 'demo',
        engine: 'vllm',
        url: worker.url,
        processStart: PROCESS_START,
        kvTransfer: role === 'aggregated' ? null : 'vllm-nixl',
        ...fields,
      });
      const lease = await agent.register(instance, signal ? { signal } : {});
      await waitFor(`the frontend to know ${name}`, () =>
        frontend.context.instances
          .list()
          .some(({ record }) => record.name === name && record.generation === instance.generation),
      );
      return lease;
    },
    post: (body, path = '/v1/chat/completions', headers = {}) =>
      fetch(`${url}${path}`, { method: 'POST', headers, body: JSON.stringify({ model: 'demo', ...CHAT, ...body }) }),
    async metric(name, label = '') {
      const text = await (await fetch(`${url}/metrics`)).text();
      const lines = text
        .split('\n')
        .filter((line) => line.startsWith(name) && line.includes(label) && /^[\w:]+[{ ]/.test(line));
      return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
    },
    ended: (requestId) =>
      waitFor(`request ${requestId} to end`, () =>
        log.find((line) => line['requestId'] === requestId && line['msg'] === 'request'),
      ),
    async [Symbol.asyncDispose]() {
      await frontend.close();
      await agent[Symbol.asyncDispose]();
      await watcher[Symbol.asyncDispose]();
    },
  };
}

const CHAT = { messages: [{ role: 'user', content: 'hi' }] };
