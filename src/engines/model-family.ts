/**
 * What a model's name tells about its architecture. A hint, as a plan is made before any weights are read: a folder with
 * another name is simply not recognised.
 */

const named = (model: string, pattern: RegExp): boolean => pattern.test(model.replaceAll('_', '-'));

/** gpt-oss: attention in sliding windows and full attention by turns, MXFP4 weights, harmony format. */
export const isGptOss = (model: string): boolean => named(model, /gpt-?oss/i);

/** State-space layers, alone or among attention layers. */
export const isStateSpace = (model: string): boolean =>
  named(
    model,
    /mamba|jamba|bamba|zamba|falcon-h1|nemotron-(h|nano-v2|3)|granite-?4|qwen3-next|qwen3\.[5-9]|plamo|minimax-(text|m1)/i,
  );

/** More than one kind of KV cache: sliding windows or state-space layers among full attention. */
export const isHybrid = (model: string): boolean =>
  isGptOss(model) ||
  isStateSpace(model) ||
  named(model, /gemma-?[23]|llama-?4|deepseek-v4|ministral|cohere2|command-a/i);

export const isGemma = (model: string): boolean => named(model, /gemma/i);

/** Encoder and decoder are separate stacks. */
export const isEncoderDecoder = (model: string): boolean =>
  named(model, /whisper|(^|[/-])(t5|bart|mbart|flan-t5)([/-]|$)/i);
