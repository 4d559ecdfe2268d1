import { HUB_AND_SYSTEM_FAILURES, PORT_TAKEN } from '../common-failures.ts';
import type { FailureSignature } from '../engine.ts';

/** Known failures of `sglang serve` by a line of its output, causes before consequences. Numbers are issues of sgl-project/sglang. */
export const SGLANG_FAILURES: readonly FailureSignature[] = [
  PORT_TAKEN,
  {
    pattern: /Not enough memory\. Please try to increase --mem-fraction-static/i,
    code: 'EXITED_EARLY',
    cause: 'the weights leave too little memory for the KV cache',
    fix: 'Raise mem-fraction-static or tp-size, or lower context-length.',
  },
  {
    pattern: /Not enough host memory available/,
    code: 'EXITED_EARLY',
    cause: 'the host has not enough free memory for HiCache: SGLang leaves 10 GB of it alone',
    fix: 'Lower `kvOffload.cpu`, which counts for each worker.',
  },
  {
    pattern: /host memory should be larger than the device memory/i,
    code: 'EXITED_EARLY',
    cause: 'HiCache holds less than the GPU, which SGLang does not take before July 2026',
    fix: 'Raise `kvOffload.cpu` above what the KV cache has on the GPUs, or leave the number out: then it is twice that.',
  },
  {
    pattern: /CUDA out of memory|OutOfMemoryError/i,
    code: 'EXITED_EARLY',
    cause: 'the GPU had not enough free memory',
    fix: 'Lower mem-fraction-static or cuda-graph-max-bs, give it more GPUs, or stop what else uses the GPU.',
  },
  {
    pattern: /Please install NIXL|No module named 'nixl/i,
    code: 'EXITED_EARLY',
    cause: 'NIXL is not installed in the Python environment of SGLang',
    fix: 'Install it there: pip install nixl',
  },
  {
    pattern: /page_?size.*(mismatch|not equal|does not match)|(mismatch|not equal).*page_?size/i,
    code: 'KV_PATH_FAILED',
    cause: 'prefill and decode workers use different page sizes',
    fix: 'Set the same page-size for both.',
  },
  {
    pattern: /kv_?cache_?dtype.*(mismatch|not equal|does not match)|(mismatch|not equal).*kv_?cache_?dtype/i,
    code: 'KV_PATH_FAILED',
    cause: 'prefill and decode workers store KV cache in different number formats',
    fix: 'Set the same kv-cache-dtype for both.',
  },
  {
    pattern: /Lost connection with prefill instance/i,
    code: 'KV_PATH_FAILED',
    cause: 'the prefill worker of a request has ended',
    fix: 'Restart both sides of the pair: SGLang does not take a replaced peer up again (#33789).',
  },
  {
    pattern: /NIXL_ERR_NOT_FOUND/,
    code: 'KV_PATH_FAILED',
    cause: 'NIXL found no matching memory on the peer, as with unequal tp-size before July 2026 (#31295)',
    fix: 'Use the same tp-size on both sides, or upgrade SGLang.',
  },
  {
    pattern: /createBackend|NIXL_ERR_[A-Z_]+|UCX\s+ERROR/,
    code: 'KV_PATH_FAILED',
    cause: 'NIXL could not connect two workers (#28737)',
    fix: 'Set the same UCX_NET_DEVICES on both sides, with a TCP or loopback device in the list, then restart both.',
  },
  {
    pattern: /Ninja is required|Error building extension|(g\+\+|ninja|nvcc): (command )?not found/i,
    code: 'EXITED_EARLY',
    cause: 'SGLang compiles the hashing of KV events and HiCache on first use and found no compiler',
    fix: 'Install g++, ninja and the libcrypto headers, or drop `kvEvents` and `kvOffload`.',
  },
  {
    pattern: /watchdog timeout/i,
    code: 'EXITED_EARLY',
    cause: 'a step took longer than SGLang’s watchdog allows',
    fix: 'Raise watchdog-timeout; large models need more than its 300 s while they compile.',
  },
  {
    pattern: /unrecognized arguments?:|error: argument |invalid choice:/i,
    code: 'EXITED_EARLY',
    cause: 'this SGLang version does not take one of the flags or values',
    fix: 'Compare `args` in the recipe with `sglang serve --help`.',
  },
  ...HUB_AND_SYSTEM_FAILURES,
];
