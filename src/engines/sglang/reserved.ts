/** Flags of `sglang serve` that the adapter sets, or that would take the server out of dynamo's reach. */
export const SGLANG_RESERVED: Readonly<Record<string, string>> = {
  'model-path': 'it is `model` of the recipe',
  model: 'it is `model` of the recipe',
  'served-model-name': 'it is `servedModelName` of the recipe',
  host: "it is the host's address; the plan sets it",
  port: 'the plan assigns it; use `port` of the worker group',
  config: 'flags from another file would not be seen by the plan; write them under `args`',
  device: 'it follows from `gpus`',
  'enable-metrics': 'dynamo switches it on',
  'enable-cache-report': 'dynamo switches it on: it is the only per-request truth about cached tokens',
  'dist-init-addr': 'the plan assigns it',
  'nccl-port': 'the plan assigns it',
  'base-gpu-id': 'the plan assigns GPUs; use `gpus` and `gpuType`',
  'gpu-id-step': 'the plan assigns GPUs; use `gpus` and `gpuType`',
  nnodes: 'it is `nodes` of the worker group',
  'node-rank': 'the plan assigns it; use `nodes`',
  'api-key': 'the frontend has no key to send to its workers',
  'admin-api-key': 'it would be readable in the process list',
  'ssl-keyfile': 'probes and frontends speak plain HTTP to workers',
  'ssl-certfile': 'probes and frontends speak plain HTTP to workers',
  'enable-http2': 'frontends speak HTTP/1.1 to workers',
  'smg-grpc-mode': 'it replaces the HTTP server that dynamo talks to',
  'skip-tokenizer-init': 'the OpenAI endpoints need the tokenizer',
  'disaggregation-mode': 'it follows from the role under `workers`',
  'disaggregation-transfer-backend': 'it is `kvTransfer.connector`',
  'disaggregation-bootstrap-port': 'the plan assigns it',
  'disaggregation-ib-device': 'NIXL ignores it; use env UCX_NET_DEVICES',
  'disaggregation-decode-tp': 'SGLang has removed it: decode workers ask the prefill worker',
  'disaggregation-decode-dp': 'SGLang has removed it: decode workers ask the prefill worker',
  'disaggregation-prefill-pp': 'SGLang has removed it: decode workers ask the prefill worker',
};

/** With `kvEvents: true`. */
export const SGLANG_RESERVED_EVENTS: Readonly<Record<string, string>> = {
  'kv-events-config': 'it follows from `kvEvents`; the plan assigns the ports',
};

/** With `kvOffload`. */
export const SGLANG_RESERVED_TIERS: Readonly<Record<string, string>> = {
  'enable-hierarchical-cache': 'it follows from `kvOffload`',
  'hicache-size': 'it is `kvOffload.cpu`, divided by the ranks',
  'hicache-storage-backend': 'it follows from `kvOffload`',
  'enable-lmcache': 'it excludes HiCache, which `kvOffload` switches on',
  'enable-flexkv': 'it excludes HiCache, which `kvOffload` switches on',
};

/** With `load`. */
export const SGLANG_RESERVED_LOAD: Readonly<Record<string, string>> = {
  'load-format': 'it is `load.loader`',
  'model-loader-extra-config': 'it is `load.settings`',
};

export const SGLANG_RESERVED_ENV: Readonly<Record<string, string>> = {
  CUDA_VISIBLE_DEVICES: 'the plan assigns GPUs; use `gpus` and `gpuType`',
  CUDA_DEVICE_ORDER: 'GPU numbers of the plan are in PCI bus order',
  SGLANG_DISAGGREGATION_BOOTSTRAP_TIMEOUT: 'it is `kvTransfer.lease`',
  SGLANG_DISAGGREGATION_WAITING_TIMEOUT: 'it is `kvTransfer.lease`',
};
