import { type Command, InvalidArgumentError, Option } from 'commander';
import type { KvEventOptions, MockerOptions } from '../mocker/options.ts';
import type { CommandEntry } from './command.ts';

interface Flags {
  modelName: string;
  httpHost: string;
  httpPort: number;
  disaggregationMode: MockerOptions['disaggregationMode'];
  blockSize: number;
  numGpuBlocksOverride: number;
  maxNumSeqs: number;
  maxNumBatchedTokens: number;
  maxModelLen: number;
  enablePrefixCaching: boolean;
  enableChunkedPrefill: boolean;
  defaultMaxTokens: number;
  speedupRatio: number;
  decodeSpeedupRatio: number;
  kvTransferBandwidth: number;
  kvBytesPerToken: number;
  kvLeaseDuration: number;
  kvLoadFailurePolicy: MockerOptions['kvLoadFailurePolicy'];
  startupTime: number;
  shutdownTimeout: number;
  enableScaleOut?: boolean;
  seed: number;
  kvEventsConfig?: KvEventOptions;
  nnodes: number;
  nodeRank: number;
  masterAddr: string;
  masterPort: number;
  fault: string[];
}

/** `dynamo mocker`: a simulated engine behind vLLM's HTTP surface. */
export const mockerCommand: CommandEntry = {
  name: 'mocker',
  summary: 'Run one simulated worker: vLLM’s HTTP surface, a real batching scheduler, no GPU',
  example: [
    'dynamo mocker --model-name demo --http-port 8100 --speedup-ratio 10',
    'VLLM_NIXL_SIDE_CHANNEL_HOST=127.0.0.1 VLLM_NIXL_SIDE_CHANNEL_PORT=15600 dynamo mocker --model-name demo --http-port 8101 --disaggregation-mode prefill',
  ],
  define(command) {
    addOptions(command).action(async (flags: Flags) => {
      const [{ runMocker }, { createEngineLog }, { parseFault }] = await Promise.all([
        import('../mocker/run-mocker.ts'),
        import('../mocker/engine-log.ts'),
        import('../mocker/faults.ts'),
      ]);
      const options = toOptions(flags, flags.fault.map(parseFault));
      process.exitCode = await runMocker(options, createEngineLog());
    });
  },
};

function addOptions(command: Command): Command {
  return command
    .requiredOption('--model-name <name>', 'name it is served under')
    .option('--http-host <host>', 'address to listen on', '127.0.0.1')
    .option('--http-port <port>', 'port to listen on', count(1, 65_535), 8000)
    .addOption(
      new Option('--disaggregation-mode <mode>', 'prefill and decode workers hand over KV cache')
        .choices(['agg', 'prefill', 'decode'])
        .default('agg'),
    )
    .option('--block-size <tokens>', 'tokens per KV block', count(1), 64)
    .option('--num-gpu-blocks-override <blocks>', 'blocks in the KV cache', count(1), 16_384)
    .option('--max-num-seqs <n>', 'most requests in one step', count(1), 256)
    .option('--max-num-batched-tokens <tokens>', 'most tokens computed in one step', count(1), 8_192)
    .option('--max-model-len <tokens>', 'longest prompt and output together', count(1), 131_072)
    .option('--no-enable-prefix-caching', 'never reuse KV blocks')
    .option('--no-enable-chunked-prefill', 'compute each prompt in one step')
    .option(
      '--default-max-tokens <tokens>',
      'output length of a chat that names none (the model never ends by itself); less where the context is full',
      count(1),
      128,
    )
    .option('--speedup-ratio <ratio>', 'divide all times by this', positive, 1)
    .option('--decode-speedup-ratio <ratio>', 'divide decode times by this as well', positive, 1)
    .option('--kv-transfer-bandwidth <GB/s>', 'speed of KV transfers, 0 for immediate ones', notNegative, 64)
    .option('--kv-bytes-per-token <bytes>', 'KV cache of one token', count(1), 131_072)
    .option('--kv-lease-duration <seconds>', 'how long a prefill worker keeps blocks that nobody reads', positive, 30)
    .addOption(
      new Option('--kv-load-failure-policy <policy>', 'what a decode worker does when a transfer fails')
        .choices(['fail', 'recompute'])
        .default('fail'),
    )
    .option('--startup-time <seconds>', 'time to spend on loading before it answers', notNegative, 0)
    .option('--shutdown-timeout <seconds>', 'on SIGTERM let requests finish this long; 0 aborts them', notNegative, 0)
    .option('--nnodes <n>', 'hosts that this worker spans; it is ready when all have come', count(1), 1)
    .option('--node-rank <n>', 'which of them this is: 0 leads and serves, the others only belong to it', count(0), 0)
    .option('--master-addr <address>', 'where the leader waits for the others', '127.0.0.1')
    .option('--master-port <port>', 'port of the same', count(1, 65_535), 29_501)
    .option(
      '--kv-events-config <json>',
      'publish KV events as vLLM does: enable_kv_cache_events, endpoint, replay_endpoint',
      kvEvents,
    )
    .option('--enable-scale-out', 'answer at the render endpoints, which vLLM refuses with 403 without this')
    .option('--seed <n>', 'another seed, another model: other text for the same prompts', integer, 0)
    .option(
      '--fault <spec>',
      'do something wrong (repeatable; seconds count from when it is ready): fail-start[:MESSAGE], exit-after:SECONDS[:CODE], hang-after:SECONDS, slow-start:SECONDS, never-ready, ignore-sigterm, refuse-transfer, lie-about-transfer, error-after-tokens:N, crash-on-request:N',
      (value: string, list: string[]) => [...list, value],
      [],
    )
    .addHelpText(
      'after',
      `
Environment:
  VLLM_NIXL_SIDE_CHANNEL_HOST, VLLM_NIXL_SIDE_CHANNEL_PORT
      address where a prefill worker is asked for KV cache,
      bound and advertised (localhost, 5600)
  VLLM_HTTP_TIMEOUT_KEEP_ALIVE
      seconds until an idle connection is closed (5)`,
    );
}

function toOptions(flags: Flags, faults: MockerOptions['faults']): MockerOptions {
  return {
    modelName: flags.modelName,
    host: flags.httpHost,
    port: flags.httpPort,
    disaggregationMode: flags.disaggregationMode,
    blockSize: flags.blockSize,
    totalBlocks: flags.numGpuBlocksOverride,
    maxNumSeqs: flags.maxNumSeqs,
    maxNumBatchedTokens: flags.maxNumBatchedTokens,
    maxModelLen: flags.maxModelLen,
    enablePrefixCaching: flags.enablePrefixCaching,
    enableChunkedPrefill: flags.enableChunkedPrefill,
    defaultMaxTokens: flags.defaultMaxTokens,
    speedupRatio: flags.speedupRatio,
    decodeSpeedupRatio: flags.decodeSpeedupRatio,
    kvTransferBandwidthGBps: flags.kvTransferBandwidth,
    kvBytesPerToken: flags.kvBytesPerToken,
    kvLeaseMs: flags.kvLeaseDuration * 1_000,
    kvLoadFailurePolicy: flags.kvLoadFailurePolicy,
    sideChannelHost: process.env['VLLM_NIXL_SIDE_CHANNEL_HOST'] ?? 'localhost',
    sideChannelPort: Number(process.env['VLLM_NIXL_SIDE_CHANNEL_PORT'] ?? 5_600),
    startupMs: flags.startupTime * 1_000,
    shutdownTimeoutMs: flags.shutdownTimeout * 1_000,
    keepAliveMs: Number(process.env['VLLM_HTTP_TIMEOUT_KEEP_ALIVE'] ?? 5) * 1_000,
    enableScaleOut: flags.enableScaleOut === true,
    seed: flags.seed,
    ...(flags.kvEventsConfig ? { kvEvents: flags.kvEventsConfig } : {}),
    ...(flags.nnodes > 1 ? { node: nodeOf(flags) } : {}),
    faults,
  };
}

function nodeOf({ nodeRank, nnodes, masterAddr, masterPort }: Flags): NonNullable<MockerOptions['node']> {
  if (nodeRank >= nnodes) throw new InvalidArgumentError(`--node-rank ${nodeRank} is not one of ${nnodes} hosts.`);
  return { rank: nodeRank, size: nnodes, masterAddress: masterAddr, masterPort };
}

/** vLLM's flag and its keys. */
function kvEvents(text: string): KvEventOptions | undefined {
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(text) as Record<string, unknown>;
  } catch {
    throw new InvalidArgumentError('Not JSON.');
  }
  const { enable_kv_cache_events: enabled, endpoint = 'tcp://*:5557', replay_endpoint: replay = null } = value;
  if (enabled !== true) return undefined;
  if (typeof endpoint !== 'string' || (replay !== null && typeof replay !== 'string'))
    throw new InvalidArgumentError('endpoint and replay_endpoint must be texts.');
  return { endpoint, replayEndpoint: replay };
}

function integer(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new InvalidArgumentError('Not an integer.');
  return value;
}

function count(least: number, most = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = integer(text);
    if (value < least || value > most) throw new InvalidArgumentError(`Not between ${least} and ${most}.`);
    return value;
  };
}

function notNegative(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0 || text.trim() === '')
    throw new InvalidArgumentError('Not a number from 0.');
  return value;
}

function positive(text: string): number {
  const value = notNegative(text);
  if (value === 0) throw new InvalidArgumentError('Must be above 0.');
  return value;
}
