/** What a flag of `dynamo mocker` takes. */
export type MockerFlagKind = 'whole' | 'number' | 'positive' | 'texts';

/** Flags of `dynamo mocker` that a recipe may set. */
export const MOCKER_FLAGS: Readonly<Record<string, MockerFlagKind>> = {
  'block-size': 'positive',
  'num-gpu-blocks-override': 'positive',
  'max-num-seqs': 'positive',
  'max-num-batched-tokens': 'positive',
  'max-model-len': 'positive',
  'speedup-ratio': 'number',
  'decode-speedup-ratio': 'number',
  'kv-transfer-bandwidth': 'number',
  'kv-bytes-per-token': 'positive',
  'startup-time': 'number',
  seed: 'whole',
  fault: 'texts',
};

/** Flags of `dynamo mocker` that the adapter sets. */
export const MOCKER_RESERVED: Readonly<Record<string, string>> = {
  'model-name': 'it is the served name of the model; use `servedModelName`',
  'http-host': "it is the host's address; the plan sets it",
  'http-port': 'the plan assigns it; use `port` of the worker group',
  'disaggregation-mode': 'it follows from the role under `workers`',
  'kv-lease-duration': 'it belongs to both sides; use `kvTransfer.lease`',
};
