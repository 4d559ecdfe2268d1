/** What a flag of `dynamo mocker` takes. A switch is on unless it is `false`, an opt-in off unless it is `true`. */
export type MockerFlagKind = 'whole' | 'count' | 'number' | 'above-zero' | 'switch' | 'opt-in' | 'texts';

/** Flags of `dynamo mocker` that a recipe may set. */
export const MOCKER_FLAGS: Readonly<Record<string, MockerFlagKind>> = {
  'block-size': 'count',
  'num-gpu-blocks-override': 'count',
  'max-num-seqs': 'count',
  'max-num-batched-tokens': 'count',
  'max-model-len': 'count',
  'enable-prefix-caching': 'switch',
  'enable-chunked-prefill': 'switch',
  'default-max-tokens': 'count',
  'speedup-ratio': 'above-zero',
  'decode-speedup-ratio': 'above-zero',
  'kv-transfer-bandwidth': 'number',
  'kv-bytes-per-token': 'count',
  'startup-time': 'number',
  'shutdown-timeout': 'number',
  'enable-scale-out': 'opt-in',
  seed: 'whole',
  fault: 'texts',
};

/** Flags of `dynamo mocker` that the adapter sets. */
export const MOCKER_RESERVED: Readonly<Record<string, string>> = {
  'model-name': 'it is the served name of the model; use `servedModelName`',
  'http-host': "it is the host's address; the plan sets it",
  'http-port': 'the plan assigns it; use `port` of the worker group',
  nnodes: 'it is `nodes` of the worker group',
  'node-rank': 'the plan assigns it; use `nodes`',
  'master-addr': 'the plan assigns it; use `nodes`',
  'master-port': 'the plan assigns it',
  'disaggregation-mode': 'it follows from the role under `workers`',
  'kv-lease-duration': 'it belongs to both sides; use `kvTransfer.lease`',
  'kv-events-config': 'use `kvEvents` of the model',
  'kv-load-failure-policy': 'it belongs to the hand-over; use `kvTransfer.loadFailurePolicy`',
};
