import {
  echoesLogprobs,
  type FieldTable,
  hasSeveralPrompts,
  isAboveOne,
  isSet,
  isZero,
} from '../../openai/leg-fields.ts';

/**
 * vLLM, NixlConnector in pull mode. Leg 1 computes the prompt and one token that is thrown away; leg 2 gets the client's bytes, so
 * everything about the answer (stops, tools, formats, log probabilities) is its business alone.
 * A field that is not listed goes into both legs as it came.
 */
export const VLLM_FIELDS: FieldTable = [
  { field: 'stream', prefill: { set: 'false' }, decode: 'keep', why: 'stream chunks carry no kv_transfer_params' },
  { field: 'stream_options', prefill: 'drop', decode: 'keep', why: 'refused without stream' },
  {
    field: 'max_tokens',
    prefill: { set: '1' },
    decode: 'keep',
    unsplittable: { as: 'max_tokens', when: isZero },
    why: 'absent means up to the end of the context; no token, nothing to decode',
  },
  {
    field: 'max_completion_tokens',
    prefill: { setIfSent: '1' },
    decode: 'keep',
    unsplittable: { as: 'max_tokens', when: isZero },
    why: 'wins over max_tokens',
  },
  { field: 'min_tokens', prefill: 'drop', decode: 'keep', why: 'more than max_tokens is refused' },
  { field: 'min_completion_tokens', prefill: 'drop', decode: 'keep', why: 'as min_tokens' },
  {
    field: 'stop',
    prefill: 'keep',
    decode: 'keep',
    why: 'a first token that stops still hands over: finish reasons length and stop both do',
  },
  { field: 'stop_token_ids', prefill: 'keep', decode: 'keep', why: 'as stop' },
  { field: 'ignore_eos', prefill: 'keep', decode: 'keep', why: 'as stop' },
  {
    field: 'logprobs',
    prefill: 'keep',
    decode: 'keep',
    why: 'leg 2 computes the first token again, with its log probabilities',
  },
  { field: 'top_logprobs', prefill: 'keep', decode: 'keep', why: 'as logprobs' },
  { field: 'tools', prefill: 'keep', decode: 'keep', why: 'part of the prompt through the chat template' },
  { field: 'tool_choice', prefill: 'keep', decode: 'keep', why: 'may change the prompt' },
  { field: 'response_format', prefill: 'keep', decode: 'keep', why: 'may change the prompt' },
  { field: 'chat_template_kwargs', prefill: 'keep', decode: 'keep', why: 'both legs must make the same tokens' },
  { field: 'cache_salt', prefill: 'keep', decode: 'keep', why: 'both legs must hash blocks alike' },
  { field: 'prompt_embeds', prefill: 'keep', decode: 'keep', why: 'works with NIXL' },
  {
    field: 'n',
    prefill: 'keep',
    decode: 'keep',
    unsplittable: { as: 'n', when: isAboveOne },
    why: 'leaks KV blocks on the prefill worker (vllm-project/vllm#43509)',
  },
  { field: 'best_of', prefill: 'keep', decode: 'keep', unsplittable: { as: 'best_of', when: isAboveOne }, why: 'as n' },
  {
    field: 'use_beam_search',
    prefill: 'keep',
    decode: 'keep',
    unsplittable: { as: 'use_beam_search', when: isSet },
    why: 'several sequences, as n',
  },
  {
    field: 'prompt',
    prefill: 'keep',
    decode: 'keep',
    unsplittable: { as: 'prompt_list', when: hasSeveralPrompts },
    why: 'each prompt of a list has parameters of its own, the answer carries one set',
  },
  {
    field: 'prompt_logprobs',
    prefill: 'keep',
    decode: 'keep',
    unsplittable: { as: 'prompt_logprobs', when: isSet },
    why: 'they exist only where the prompt was computed',
  },
  {
    field: 'echo',
    prefill: 'keep',
    decode: 'keep',
    unsplittable: { as: 'echo_logprobs', when: echoesLogprobs },
    why: 'the text alone can be echoed by leg 2',
  },
  {
    field: 'kv_transfer_params',
    prefill: 'fill',
    decode: 'fill',
    why: 'asks leg 1 to keep the blocks; carried as bytes into leg 2',
  },
];
