import type { FailureSignature } from '../engine.ts';

/** Known failures of `vllm serve` by a line of its output, causes before consequences. Wording drifts between versions: hints only. */
export const VLLM_FAILURES: readonly FailureSignature[] = [
  {
    pattern: /address already in use|EADDRINUSE/i,
    code: 'PORT_IN_USE',
    cause: 'one of its ports was taken between planning and starting',
    fix: 'Start again, or free the port.',
  },
  {
    pattern: /CUDA out of memory|OutOfMemoryError|less than desired GPU memory utilization/i,
    code: 'EXITED_EARLY',
    cause: 'the GPU had not enough free memory',
    fix: 'Lower gpu-memory-utilization or max-model-len, give it more GPUs, or stop what else uses the GPU.',
  },
  {
    pattern:
      /No available memory for the cache blocks|larger than the maximum number of tokens that can be stored in KV cache/i,
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
    pattern: /GatedRepoError|401 Client Error|Cannot access gated repo/i,
    code: 'EXITED_EARLY',
    cause: 'the model hub refused access to the model',
    fix: 'Accept the model’s licence on the hub and pass env: { HF_TOKEN: { fromEnv: HF_TOKEN } }.',
  },
  {
    pattern: /RepositoryNotFoundError|is not a local folder and is not a valid model identifier/i,
    code: 'EXITED_EARLY',
    cause: 'the model is neither a folder nor known to the model hub',
    fix: 'Check `model` in the recipe.',
  },
  {
    pattern: /unrecognized arguments?:|error: argument /i,
    code: 'EXITED_EARLY',
    cause: 'this vLLM version does not take one of the flags',
    fix: 'Compare `args` in the recipe with `vllm serve --help=all`.',
  },
  {
    pattern: /No space left on device/i,
    code: 'DISK_FULL',
    cause: 'the disk is full',
    fix: 'Free some space where models are cached (HF_HOME).',
  },
  {
    pattern: /no kernel image is available|forward compatibility was attempted|driver version is insufficient/i,
    code: 'EXITED_EARLY',
    cause: 'the GPU or its driver does not suit this build of vLLM',
    fix: 'Install a vLLM build for this driver and GPU.',
  },
];
