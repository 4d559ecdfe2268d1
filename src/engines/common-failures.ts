import type { FailureSignature } from './engine.ts';

/** Failures whose lines come from what Python engines share: sockets, the model hub, CUDA, the disk. */

/** `('10.0.0.1', 8100)` of asyncio, `tcp://*:5557` of ZeroMQ, `127.0.0.1:8100` of Node, `port: 29500` of torch and llama.cpp. */
export const NAMED_PORT = /(?:\('[^']*', |:|\bport:? )(\d{2,5})\b/g;

export const PORT_TAKEN: FailureSignature = {
  pattern: /address already in use|EADDRINUSE/i,
  code: 'PORT_IN_USE',
  cause: 'one of its ports was taken between planning and starting',
  fix: 'Start again, or free the port.',
  port: NAMED_PORT,
};

export const HUB_AND_SYSTEM_FAILURES: readonly FailureSignature[] = [
  {
    pattern: /GatedRepoError|401 Client Error|Cannot access gated repo/i,
    code: 'EXITED_EARLY',
    cause: 'the model hub refused access to the model',
    fix: 'Accept the model’s licence on the hub and pass env: { HF_TOKEN: { fromEnv: HF_TOKEN } }.',
  },
  {
    pattern:
      /LocalEntryNotFoundError|We couldn't connect to .*huggingface\.co|Cannot find an appropriate cached snapshot/i,
    code: 'EXITED_EARLY',
    cause: 'the model is not in the local cache and the hub cannot be reached',
    fix: 'Download it first, or set `model` to a folder.',
  },
  {
    pattern: /RepositoryNotFoundError|is not a local folder and is not a valid model identifier|HFValidationError/i,
    code: 'EXITED_EARLY',
    cause: 'the model is neither a folder nor known to the model hub',
    fix: 'Check `model` in the recipe.',
  },
  {
    pattern: /Can't load tokenizer|Couldn't instantiate the backend tokenizer|Tokenizer class .* does not exist/i,
    code: 'EXITED_EARLY',
    cause: 'the model has no tokenizer that this engine can read',
    fix: 'Put the tokenizer files beside the weights, or upgrade the engine’s `transformers`.',
  },
  {
    pattern:
      /does not appear to have a file named config\.json|Unrecognized model in|No safetensors? (files|weights) found/i,
    code: 'EXITED_EARLY',
    cause: 'the model folder is incomplete',
    fix: 'Download the model again; it needs config.json and its weights.',
  },
  {
    // safetensors' words, then those of llama.cpp.
    pattern: /Error while deserializing header|not within the file bounds|model is corrupted or incomplete/i,
    code: 'EXITED_EARLY',
    cause: 'a file of the weights is cut short or damaged',
    fix: 'Download the model again, and compare the sizes of its files with the original.',
  },
  {
    pattern:
      /No module named '(lmcache|fastsafetensors|runai_model_streamer|modelexpress|mooncake)|requires the ModelExpress Python package|Please install vllm\[(runai|fastsafetensors|instanttensor)/i,
    code: 'EXITED_EARLY',
    cause: 'a package that `load` or `kvOffload` needs is not installed in the Python environment of the engine',
    fix: 'The line names it. Install it there, for instance: pip install lmcache, or: pip install "vllm[runai]".',
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
    cause: 'the GPU or its driver does not suit this build of the engine',
    fix: 'Install a build for this driver and GPU.',
  },
];
