import { z } from 'zod';
import { hostListSchema } from '../hosts/hosts-schema.ts';
import { byteSize, duration, envMap, port } from '../yaml/schema-values.ts';
import { engineArgs } from './schema-args.ts';
import { discovery } from './schema-discovery.ts';
import { hooks } from './schema-hooks.ts';
import { kvOffload, load } from './schema-memory.ts';

/**
 * The recipe as people write it. The only source of configuration: types, validation, `dynamo recipe schema` and
 * docs/recipe.md are all made from it. Durations come out in milliseconds, sizes in bytes.
 */

export const ENGINE_NAMES = ['mocker', 'vllm', 'sglang', 'trtllm', 'llamacpp', 'openai'] as const;
export type EngineName = (typeof ENGINE_NAMES)[number];

export const ROUTER_MODES = ['kv', 'round-robin', 'random', 'least-loaded', 'power-of-two', 'direct'] as const;

const engine = z
  .enum(ENGINE_NAMES)
  .describe(
    'What runs in the worker: `mocker` is the built-in simulated engine, `vllm` is `vllm serve`, `sglang` is `sglang serve`, `trtllm` is `trtllm-serve`, `llamacpp` is `llama-server`, `openai` is any OpenAI-compatible server that somebody else runs.',
  );

const restart = z
  .union([
    z.enum(['never', 'on-failure', 'always']),
    z.strictObject({
      policy: z
        .enum(['never', 'on-failure', 'always'])
        .prefault('always')
        .describe('When to start it again after it ended unasked. `on-failure`: unless its exit status was 0.'),
      initialBackoff: duration
        .prefault('1s')
        .describe('Pause before the first restart; doubles with each further one.'),
      maxBackoff: duration.prefault('30s').describe('Longest pause.'),
      maxRestarts: z.int().min(0).prefault(8).describe('Restarts in a row before the process counts as failed.'),
      resetAfter: duration.prefault('1m').describe('Ready for this long, the count and the pause begin anew.'),
    }),
  ])
  .meta({ id: 'Restart', description: 'Restart policy: its name alone, or with its numbers.' });

const liveness = z
  .union([
    z.literal(false),
    z.strictObject({
      period: duration.optional().describe('Time between checks. Default: the engine says, 5s or 10s.'),
      timeout: duration.optional().describe('Longest wait for an answer. Default: the engine says, 5s or 10s.'),
      failures: z
        .int()
        .min(1)
        .optional()
        .describe('Misses in a row after which the process is killed and restarted. Default: the engine says, 3 or 6.'),
    }),
  ])
  .meta({ id: 'Liveness', description: '`false` for none, or its numbers.' });

const drain = z
  .strictObject({
    inFlight: duration
      .optional()
      .describe('Longest wait for running requests after the process left discovery. Default: 30s.'),
    killAfter: duration
      .optional()
      .describe(
        'From SIGTERM to SIGKILL of the process group. Default: 10s; 20s for engines that can hang on an open stream.',
      ),
  })
  .meta({ id: 'Drain', description: 'How a process is stopped.' });

const placement = z.record(z.string().min(1), z.union([z.string().min(1), z.number().transform(String)])).meta({
  id: 'Placement',
  description:
    'Labels that a host must have, as the hosts file gives them: `{ rack: a }`. Every host has the label `host`, its name.',
});

const kvEvents = z
  .boolean()
  .describe(
    'Have workers publish which KV blocks they hold, so that routing knows instead of guessing. Default: false.',
  );

const workerGroup = z
  .strictObject({
    engine: engine.optional().describe('Engine of this group. Default: that of the model.'),
    replicas: z.int().min(1).max(512).prefault(1).describe('How many workers.'),
    gpus: z
      .int()
      .min(0)
      .max(1024)
      .optional()
      .describe(
        'GPUs of each worker, over all its hosts; 0 runs on the CPU. Default: what its parallel sizes multiply to; none for `mocker`.',
      ),
    gpuType: z.string().min(1).optional().describe('Only GPUs whose name contains this, such as `H100`.'),
    workersPerGpu: z
      .int()
      .min(1)
      .max(16)
      .prefault(1)
      .describe('How many workers share a GPU. Groups of a model that say the same share with each other.'),
    placement: placement.optional().describe('Only hosts with these labels. Default: any host.'),
    nodes: z
      .int()
      .min(1)
      .max(64)
      .prefault(1)
      .describe(
        'Hosts that one worker spans: a leader, which serves, and followers, which compute for it. They start, end and restart as one. `vllm`, `sglang` and `mocker` only.',
      ),
    port: port
      .optional()
      .describe('HTTP port of the first replica; the others count up. Default: a free one from 8100 up.'),
    url: z
      .string()
      .min(1)
      .optional()
      .describe('Where the server is that somebody else runs: `http://10.0.0.5:8000`. Only with `engine: openai`.'),
    args: engineArgs.prefault({}).describe("The engine's own long flags, without the dashes."),
    env: envMap.prefault({}).describe('Environment of the worker, on top of what dynamo sets.'),
    command: z
      .union([z.string().min(1), z.array(z.string().min(1)).min(1)])
      .optional()
      .describe("The engine's program when it is not the one on PATH: a path, or a list of words."),
    kvEvents: kvEvents.optional().describe('Default: that of the model.'),
    kvOffload: kvOffload.optional().describe('Default: that of the model.'),
    load: load.optional().describe('Default: that of the model.'),
    startTimeout: duration
      .optional()
      .describe('Longest time from spawn to ready. Default: the engine says; 30s for `mocker`, 15m for the others.'),
    restart: restart.optional().describe('Default: `always`.'),
    liveness: liveness.optional().describe('Check of the running worker. Default: GET /health.'),
    drain: drain.optional().describe('How it is stopped.'),
  })
  .meta({ id: 'WorkerGroup', description: 'Workers of one role that are all alike.' });

const workerGroups = z.union([workerGroup, z.array(workerGroup).min(1)], {
  error: 'expected a worker group (a map with replicas, gpus, args, …) or a list of them',
});

const workers = z
  .strictObject({
    prefill: workerGroups.optional().describe('Workers that read prompts. Need `decode` workers beside them.'),
    decode: workerGroups.optional().describe('Workers that generate from the KV cache a prefill worker hands over.'),
    aggregated: workerGroups.optional().describe('Workers that do both. Exclude the other two within a model.'),
  })
  .meta({ id: 'Workers', description: 'Worker groups by role: one group, or a list of groups that differ.' });

const kvTransfer = z
  .strictObject({
    connector: z
      .enum(['nixl', 'none'])
      .optional()
      .describe('Default: `nixl` when there are prefill and decode workers, else `none`.'),
    lease: duration
      .optional()
      .describe(
        'How long a prefill worker keeps a finished prompt for its decode worker. Default: 30s with vLLM, 120s with SGLang.',
      ),
    loadFailurePolicy: z
      .enum(['fail', 'recompute'])
      .prefault('fail')
      .describe('What a vLLM decode worker does when the transfer fails: fail the request, or read the prompt again.'),
  })
  .meta({ id: 'KvTransfer', description: 'How the KV cache gets from prefill to decode workers.' });

const slo = z
  .strictObject({
    ttftMs: z.number().positive().optional().describe('Time to first token, in milliseconds.'),
    itlMs: z.number().positive().optional().describe('Time between tokens, in milliseconds.'),
  })
  .meta({ id: 'Slo', description: 'Goals to measure against.' });

const modelName = z.string().min(1).max(512);
const allow = z
  .array(z.string())
  .describe(
    'Combinations to start all the same though they are known to be broken or risky, by the name that the refusal or the warning gives.',
  );

const model = z
  .strictObject({
    model: modelName.describe(
      'Hub id, or a path; one that begins with ./ or ../ is relative to the file it stands in.',
    ),
    servedModelName: modelName.optional().describe('Name that clients use. Default: `model`.'),
    engine: engine.optional().describe('Default: the `engine` at the top.'),
    workers: workers.describe('Its workers.'),
    kvTransfer: kvTransfer.optional(),
    kvEvents: kvEvents.optional(),
    kvOffload: kvOffload.optional(),
    load: load.optional(),
    allow: allow.optional(),
    slo: slo.optional(),
  })
  .meta({ id: 'Model', description: 'One of several models behind the same frontend.' });

const frontend = z
  .strictObject({
    port: z
      .union([port, z.literal('auto')], { error: 'expected a port from 1 to 65535, or auto' })
      .optional()
      .describe(
        'HTTP port of the first replica; the others count up. Default: the first free one from 8000 up, as `auto`.',
      ),
    host: z
      .string()
      .min(1)
      .optional()
      .describe(
        'Address to listen on. `0.0.0.0` lets other machines in. Default: 127.0.0.1; with other hosts than this machine, the address by which the hosts reach each other.',
      ),
    replicas: z.int().min(1).max(64).prefault(1).describe('Frontend processes.'),
    placement: placement
      .optional()
      .describe('Spread the replicas over the hosts with these labels, `{}` over all. Default: all on the first host.'),
    routerMode: z
      .enum(ROUTER_MODES)
      .prefault('kv')
      .describe('How a worker is chosen. `kv` weighs cached prompt blocks against load.'),
    decodeFallback: z
      .boolean()
      .prefault(false)
      .describe('Let a decode worker read the prompt itself when no prefill worker can (counted, visible).'),
    routerKvOverlapScoreCredit: z.number().min(0).prefault(1).describe('Credit for each cached block, `kv` mode.'),
    routerPrefillLoadScale: z.number().min(0).prefault(1).describe('Weight of prompt blocks still to read, `kv` mode.'),
    routerTemperature: z.number().min(0).prefault(0).describe('0 takes the cheapest worker, more spreads, `kv` mode.'),
    routerTtl: duration.prefault('120s').describe('How long a routed prompt counts as cached, `kv` mode.'),
    requestTimeout: duration.optional().describe('Longest time for one request. Default: none.'),
    bodyLimit: byteSize.prefault('192MiB').describe('Largest request body.'),
    seed: z.int().min(0).optional().describe('Makes random choices repeatable.'),
    env: envMap.prefault({}).describe('Environment of the frontend.'),
    startTimeout: duration.prefault('60s').describe('Longest time from spawn to ready.'),
    restart: restart.optional().describe('Default: `always`.'),
    liveness: liveness.optional().describe('Check of the running frontend. Default: GET /live.'),
    drain: drain.optional().describe('How it is stopped.'),
  })
  .meta({ id: 'Frontend', description: 'The OpenAI-compatible HTTP server and its router.' });

const logs = z
  .strictObject({
    maxSize: byteSize.prefault('64MiB').describe('A log file is rotated when it is larger.'),
    keep: z.int().min(0).prefault(3).describe('Rotated files kept of each process.'),
  })
  .meta({ id: 'Logs', description: 'How the output of processes is kept.' });

export const recipeSchema = z
  .strictObject({
    name: z
      .string()
      .regex(/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/, {
        error: 'expected up to 63 letters, digits, dots, dashes and underscores, beginning with a letter or digit',
      })
      .optional()
      .describe('Name of the deployment. Default: the file name without its ending. `--name` overrides it.'),
    description: z.string().optional().describe('One line for `dynamo recipe list`.'),
    base: z
      .string()
      .min(1)
      .optional()
      .describe(
        'A recipe to start from, relative to this file. Maps are merged, the rest is replaced, `null` removes.',
      ),
    model: modelName
      .optional()
      .describe('Hub id, or a path; one that begins with ./ or ../ is relative to the file it stands in.'),
    servedModelName: modelName.optional().describe('Name that clients use. Default: `model`.'),
    engine: engine.prefault('vllm').describe('Engine of all workers that do not name their own.'),
    workers: workers.optional().describe('Workers of `model`.'),
    kvTransfer: kvTransfer.optional().describe('How the KV cache gets from prefill to decode workers.'),
    kvEvents: kvEvents.optional(),
    kvOffload: kvOffload.optional().describe('Where KV blocks go that no longer fit on the GPU. Default: nowhere.'),
    load: load.optional().describe('How weights are loaded. Default: as the engine does.'),
    allow: allow.optional(),
    models: z
      .array(model)
      .min(1)
      .optional()
      .describe('Several models behind one frontend, instead of `model`, `servedModelName` and `workers`.'),
    frontend: frontend.prefault({}),
    hosts: z
      .union([z.string().min(1), hostListSchema], { error: 'expected the path of a hosts file, or a list of hosts' })
      .optional()
      .describe(
        'Machines to run on: a hosts file, relative to this file, or the list itself. `--hosts` overrides it. Default: this machine. See [hosts.md](hosts.md).',
      ),
    discovery: discovery.prefault({}),
    logs: logs.optional(),
    hooks: hooks.optional(),
    slo: slo.optional(),
    startLease: duration
      .prefault('60s')
      .describe('An uncommitted start whose controller is silent for this long is undone.'),
  })
  .meta({
    description: 'A recipe. Keys that begin with `x-` are yours: dynamo ignores them, YAML anchors can refer to them.',
  });

export type RecipeFile = z.output<typeof recipeSchema>;
export type WorkerGroupFile = z.output<typeof workerGroup>;
export type ModelFile = z.output<typeof model>;
export type FrontendFile = z.output<typeof frontend>;
export type DiscoveryFile = z.output<typeof discovery>;
export type HooksFile = z.output<typeof hooks>;
