/** Flags of `vllm serve` that the adapter sets, or that would take the server out of dynamo's reach. */
export const VLLM_RESERVED: Readonly<Record<string, string>> = {
  model: 'it is `model` of the recipe',
  'served-model-name': 'it is `servedModelName` of the recipe',
  host: "it is the host's address; the plan sets it",
  port: 'the plan assigns it; use `port` of the worker group',
  uds: 'frontends and probes reach the worker over TCP',
  config: 'flags from another file would not be seen by the plan; write them under `args`',
  'enable-prompt-tokens-details': 'dynamo switches it on: it is the only per-request truth about cached tokens',
  grpc: 'it replaces the HTTP server that dynamo talks to',
  headless: 'followers of a worker with `nodes` get it, others need their HTTP server',
  'root-path': 'probes and frontends expect the API at its usual paths',
  'ssl-keyfile': 'probes and frontends speak plain HTTP to workers',
  'ssl-certfile': 'probes and frontends speak plain HTTP to workers',
  'ssl-ca-certs': 'probes and frontends speak plain HTTP to workers',
  'api-key': 'the frontend has no key to send to its workers',
  'hf-token': 'it would be readable in the process list; use `env: { HF_TOKEN: { fromEnv: HF_TOKEN } }`',
  'tokens-only': 'it takes the OpenAI endpoints away',
  'device-ids': 'the plan assigns GPUs; use `gpus` and `gpuType`',
  'data-parallel-external-lb': 'it makes one server per rank; use `replicas`',
  'data-parallel-hybrid-lb': 'it makes one server per host; with `nodes` one server leads all',
  'data-parallel-multi-port-external-lb': 'it opens ports the plan does not know; use `replicas`',
  'data-parallel-rank': 'it makes one server per rank; use `replicas`',
  'data-parallel-start-rank': 'the plan assigns it; use `nodes`',
  'data-parallel-size-local': 'the plan assigns it; use `nodes`',
  'data-parallel-address': 'the plan assigns it; use `nodes`',
  'data-parallel-rpc-port': 'the plan assigns it',
  'shutdown-timeout': 'it follows from `drain.killAfter`, so that requests end before the worker is killed',
  nnodes: 'it is `nodes` of the worker group',
  'node-rank': 'the plan assigns it; use `nodes`',
  'master-addr': 'the plan assigns it; use `nodes`',
  'master-port': 'the plan assigns it',
};

/** Flags of older versions that every one which dynamo works with has lost, and what is to be written now. */
export const VLLM_REMOVED: Readonly<Record<string, string>> = {
  'disable-log-requests': 'vLLM has removed it: requests are logged only with `enable-log-requests`',
  'enable-reasoning': 'vLLM has removed it: `reasoning-parser` alone switches it on',
  'full-cuda-graph': 'vLLM has removed it: write `compilation-config: { cudagraph_mode: FULL }`',
  'guided-decoding-backend': 'vLLM has removed it: write `structured-outputs-config: { backend: … }`',
  'num-scheduler-steps': 'vLLM has removed it, with the engine that had it; leave it out',
  'num-speculative-tokens': 'vLLM has removed it: write it into `speculative-config`',
  'speculative-model': 'vLLM has removed it: write `speculative-config: { model: …, num_speculative_tokens: … }`',
  'use-v2-block-manager': 'vLLM has removed it, with the engine that had it; leave it out',
  'worker-use-ray': 'vLLM has removed it; dynamo joins hosts without Ray: use `nodes`',
};

/** Where dynamo chooses the connectors. */
export const VLLM_RESERVED_CONNECTOR: Readonly<Record<string, string>> = {
  'kv-transfer-config': 'it follows from `kvTransfer`, `kvOffload` and the role',
  'kv-offloading-size': 'it overwrites the connector; use `kvOffload`',
  'kv-offloading-backend': 'it overwrites the connector; use `kvOffload`',
};

/** With `kvEvents: true`. */
export const VLLM_RESERVED_EVENTS: Readonly<Record<string, string>> = {
  'kv-events-config': 'it follows from `kvEvents`; the plan assigns the ports',
};

/** With `load`. */
export const VLLM_RESERVED_LOAD: Readonly<Record<string, string>> = {
  'load-format': 'it is `load.loader`',
  'model-loader-extra-config': 'it is `load.settings`',
};

export const VLLM_RESERVED_ENV: Readonly<Record<string, string>> = {
  CUDA_VISIBLE_DEVICES: 'the plan assigns GPUs; use `gpus` and `gpuType`',
  CUDA_DEVICE_ORDER: 'GPU numbers of the plan are in PCI bus order',
  VLLM_PORT: 'the plan assigns it',
  VLLM_DP_MASTER_PORT: 'the plan assigns it',
  VLLM_NIXL_SIDE_CHANNEL_HOST: 'the plan sets it',
  VLLM_NIXL_SIDE_CHANNEL_PORT: 'the plan assigns it',
  VLLM_HOST_IP: "it is the host's address; the plan sets it",
  VLLM_ENGINE_READY_TIMEOUT_S: 'it follows from `startTimeout`',
  VLLM_API_KEY: 'the frontend has no key to send to its workers',
  VLLM_NIXL_ABORT_REQUEST_TIMEOUT: 'vLLM ignores it since 0.22; use `kvTransfer.lease`',
};
