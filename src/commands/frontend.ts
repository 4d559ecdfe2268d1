import { type Command, InvalidArgumentError, Option } from 'commander';
import { DEFAULT_DISCOVERY_TTL_MS } from '../discovery/discovery.ts';
import { DEFAULT_KV_LEASE_MS } from '../engines/vllm/kv-transfer.ts';
import type { FrontendOptions } from '../frontend/frontend-options.ts';
import {
  DEFAULT_QUARANTINE_MS,
  TRANSFER_GUARD_MODES,
  type TransferGuardMode,
} from '../frontend/transfer/guard-mode.ts';
import { ROUTER_MODES, type RouterMode } from '../routing/policy.ts';
import type { CommandEntry } from './command.ts';
import { addDiscoveryOptions, type DiscoveryFlags, toDiscovery } from './discovery-options.ts';

interface Flags extends DiscoveryFlags {
  httpHost: string;
  httpPort: number;
  deployment: string;
  processName: string;
  discoveryTtlMs: number;
  routerMode: RouterMode;
  kvCacheBlockSize: number;
  routerKvOverlapScoreCredit: number;
  routerPrefillLoadScale: number;
  routerTemperature: number;
  routerTtlSecs: number;
  decodeFallback: boolean;
  kvLeaseSecs: number;
  kvTransferGuard: TransferGuardMode;
  kvQuarantineSecs: number;
  requestTimeoutSecs: number;
  bodyLimitMb: number;
  drainTimeoutSecs: number;
  trustClientPins: boolean;
  seed?: number;
}

/** `dynamo frontend`: the OpenAI-compatible HTTP server with the router. */
export const frontendCommand: CommandEntry = {
  name: 'frontend',
  summary: 'Run one OpenAI-compatible frontend for the workers in discovery',
  example: [
    'dynamo frontend --deployment demo --discovery-root ./discovery --http-port 8000 --router-mode kv',
    'curl http://127.0.0.1:8000/health',
  ],
  define(command) {
    addOptions(command).action(async (flags: Flags) => {
      const { runFrontend } = await import('../frontend/run-frontend.ts');
      process.exitCode = await runFrontend(toOptions(flags));
    });
  },
};

function addOptions(command: Command): Command {
  command
    .option('--http-host <host>', 'address to listen on', '127.0.0.1')
    .option('--http-port <port>', 'port to listen on, 0 for any', count(0, 65_535), 8000)
    .requiredOption('--deployment <name>', 'deployment whose workers it serves')
    .option('--process-name <name>', 'its name in logs', 'frontend');
  return addDiscoveryOptions(command)
    .option(
      '--discovery-ttl-ms <ms>',
      'time after which an unrefreshed worker counts as lapsed',
      count(1),
      DEFAULT_DISCOVERY_TTL_MS,
    )
    .addOption(new Option('--router-mode <mode>', 'how workers are chosen').choices(ROUTER_MODES).default('kv'))
    .option('--kv-cache-block-size <tokens>', 'tokens per block for routing', count(1), 64)
    .option('--router-kv-overlap-score-credit <n>', 'worth of a cached block; 0 ignores caches', notNegative, 1)
    .option('--router-prefill-load-scale <n>', 'weight of prefill work against running blocks', notNegative, 1)
    .option('--router-temperature <n>', '0 takes the best worker, more draws among them', notNegative, 0)
    .option('--router-ttl-secs <n>', 'how long a worker is believed to keep a block', positive, 120)
    .option('--decode-fallback', 'let decode workers do a prefill that no prefill worker delivers', false)
    .option(
      '--kv-lease-secs <n>',
      'how long prefill workers keep a finished prefill',
      positive,
      DEFAULT_KV_LEASE_MS / 1_000,
    )
    .addOption(
      new Option(
        '--kv-transfer-guard <mode>',
        'check decode workers’ count of failed KV transfers before an answer goes out: of hybrid-KV models, of all, of none',
      )
        .choices(TRANSFER_GUARD_MODES)
        .default('auto'),
    )
    .option(
      '--kv-quarantine-secs <n>',
      'how long a pair rests after such a failure',
      positive,
      DEFAULT_QUARANTINE_MS / 1_000,
    )
    .option(
      '--request-timeout-secs <n>',
      'longest silence of a worker within a request; 0 for no limit',
      notNegative,
      600,
    )
    .option('--body-limit-mb <n>', 'largest request body in MiB', positive, 192)
    .option('--drain-timeout-secs <n>', 'time for running requests after SIGTERM', notNegative, 30)
    .option('--trust-client-pins', 'obey worker pins and transfer parameters of callers', false)
    .option('--seed <n>', 'seed of random choices', count(0));
}

function toOptions(flags: Flags): FrontendOptions {
  return {
    httpHost: flags.httpHost,
    httpPort: flags.httpPort,
    deployment: flags.deployment,
    processName: flags.processName,
    discovery: toDiscovery(flags),
    discoveryTtlMs: flags.discoveryTtlMs,
    routerMode: flags.routerMode,
    kvCacheBlockSize: flags.kvCacheBlockSize,
    overlapScoreCredit: flags.routerKvOverlapScoreCredit,
    prefillLoadScale: flags.routerPrefillLoadScale,
    temperature: flags.routerTemperature,
    routerTtlMs: flags.routerTtlSecs * 1_000,
    decodeFallback: flags.decodeFallback,
    kvLeaseMs: flags.kvLeaseSecs * 1_000,
    kvTransferGuard: flags.kvTransferGuard,
    kvQuarantineMs: flags.kvQuarantineSecs * 1_000,
    requestTimeoutMs: flags.requestTimeoutSecs * 1_000,
    bodyLimitBytes: flags.bodyLimitMb * 1_048_576,
    drainTimeoutMs: flags.drainTimeoutSecs * 1_000,
    trustClientPins: flags.trustClientPins,
    // Frontends without a seed must differ, or they would all begin with the same worker.
    seed: flags.seed ?? Math.floor(Math.random() * 2 ** 32),
  };
}

function count(min: number, max = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < min || value > max) {
      throw new InvalidArgumentError(`must be a whole number of at least ${min}.`);
    }
    return value;
  };
}

function notNegative(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < 0) throw new InvalidArgumentError('must be 0 or more.');
  return value;
}

function positive(text: string): number {
  const value = notNegative(text);
  if (value === 0) throw new InvalidArgumentError('must be more than 0.');
  return value;
}
