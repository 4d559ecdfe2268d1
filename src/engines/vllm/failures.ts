import { HUB_AND_SYSTEM_FAILURES, NAMED_PORT, PORT_TAKEN } from '../common-failures.ts';
import type { FailureSignature } from '../engine.ts';

/** Known failures of `vllm serve` by a line of its output, causes before consequences. Wording drifts between versions: hints only. */
export const VLLM_FAILURES: readonly FailureSignature[] = [
  {
    // The thread that listens dies of it; the engine waits for that thread for ever (seen with 0.32).
    pattern: /ZMQError: Address already in use/,
    code: 'PORT_IN_USE',
    cause: 'the port of its KV side channel was taken between planning and starting',
    fix: 'Start again, or free the port.',
    hangs: true,
    port: NAMED_PORT,
    purposes: ['sideChannel', 'kvEvents', 'kvReplay'],
  },
  PORT_TAKEN,
  {
    pattern: /CUDA out of memory|OutOfMemoryError|less than desired GPU memory utilization/i,
    code: 'EXITED_EARLY',
    cause: 'the GPU had not enough free memory',
    fix: 'Lower gpu-memory-utilization or max-model-len, give it more GPUs, or stop what else uses the GPU.',
  },
  {
    pattern: /Available memory on node .* is less than (desired CPU memory|requested memory)/,
    code: 'EXITED_EARLY',
    cause: 'the machine had not enough free memory',
    fix: 'Lower VLLM_CPU_KVCACHE_SPACE (GiB for the KV cache) or gpu-memory-utilization (on a CPU the share of main memory), or stop what else uses the memory.',
  },
  {
    pattern:
      /No available memory for the cache blocks|larger than the maximum number of tokens that can be stored in KV cache|larger than the available KV cache memory/i,
    code: 'EXITED_EARLY',
    cause: 'the weights leave too little memory for the KV cache',
    fix: 'Lower max-model-len, raise gpu-memory-utilization, or raise tensor-parallel-size and gpus.',
  },
  {
    pattern: /NIXL is not available/i,
    code: 'EXITED_EARLY',
    cause: 'NIXL is not installed in the Python environment of vLLM',
    fix: 'Install it there: pip install nixl',
  },
  {
    pattern: /expandable_segments/i,
    code: 'EXITED_EARLY',
    cause: 'PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True cannot be combined with a KV connector',
    fix: 'Unset PYTORCH_CUDA_ALLOC_CONF.',
  },
  {
    pattern: /unrecognized arguments?:|error: argument /i,
    code: 'EXITED_EARLY',
    cause: 'this vLLM version does not take one of the flags',
    fix: 'Compare `args` in the recipe with `vllm serve --help=all`.',
  },
  {
    pattern: /engine[_ ]id mismatch/i,
    code: 'KV_PATH_FAILED',
    cause:
      'a decode worker reached another prefill worker than it was told: a restarted one, or a wrong side-channel address',
    fix: 'Restart both sides of the pair; on several hosts the side channel needs an address the other side can reach.',
  },
  {
    pattern: /(compatibility )?hash mismatch|compatibility hash does not match/i,
    code: 'KV_PATH_FAILED',
    cause: 'prefill and decode workers differ in vLLM version, model name, dtype or attention backend',
    fix: 'Run the same vLLM build with the same `model` and the same `dtype` on both.',
  },
  {
    pattern: /NIXL_ERR_[A-Z_]+|ucp_ep_create|UCX\s+ERROR/,
    code: 'KV_PATH_FAILED',
    cause: 'NIXL could not connect two workers',
    fix: 'Set the same UCX_TLS and UCX_NET_DEVICES (for instance `all`) on both sides, then restart both.',
  },
  {
    pattern: /is not divisible by|must be divisible by tensor parallel size/i,
    code: 'EXITED_EARLY',
    cause: 'tensor-parallel-size does not divide the model’s attention heads',
    fix: 'Choose a tensor-parallel-size that divides them.',
  },
  {
    pattern: /max_model_len .* is greater than the derived max_model_len/i,
    code: 'EXITED_EARLY',
    cause: 'max-model-len is more than the model was made for',
    fix: 'Lower max-model-len.',
  },
  {
    pattern: /Error in memory profiling|Initial free memory .* current free memory/i,
    code: 'EXITED_EARLY',
    cause: 'something else took or gave back memory of the GPU while vLLM measured it',
    fix: 'Start the workers of a GPU one after the other (`workersPerGpu`), or set kv-cache-memory-bytes.',
  },
  ...HUB_AND_SYSTEM_FAILURES,
  {
    pattern: /Engine core initialization failed|Failed core proc/i,
    code: 'EXITED_EARLY',
    cause: 'vLLM’s engine process ended while it started',
    fix: 'Look at the lines above in its log: `dynamo logs`.',
  },
];
