import { echoesLogprobs, type FieldTable, isAboveOne, isPromptList, isSet, isZero } from '../../openai/leg-fields.ts';

/**
 * TensorRT-LLM, context first. A context-only request computes the prompt and its first token, whatever its limits say, and answers
 * with opaque state; the generation-only request goes on from there, with the prompt's token ids in place of its text.
 * A field that is not listed goes into both legs as it came.
 */
export const TRTLLM_FIELDS: FieldTable = [
  { field: 'stream', prefill: { set: 'false' }, decode: 'keep', why: 'the state comes in a whole answer' },
  { field: 'stream_options', prefill: 'drop', decode: 'keep', why: 'refused without stream' },
  {
    field: 'max_tokens',
    prefill: 'keep',
    decode: 'keep',
    unsplittable: { as: 'max_tokens', when: isZero },
    why: 'context_only makes one token by itself',
  },
  {
    field: 'max_completion_tokens',
    prefill: 'keep',
    decode: 'keep',
    unsplittable: { as: 'max_tokens', when: isZero },
    why: 'as max_tokens',
  },
  { field: 'min_tokens', prefill: 'keep', decode: 'keep', why: 'as max_tokens' },
  { field: 'stop', prefill: 'keep', decode: 'keep', why: 'a first token that stops ends the request with leg 1' },
  { field: 'logprobs', prefill: 'keep', decode: 'keep', why: 'those of the first token travel in the state' },
  { field: 'top_logprobs', prefill: 'keep', decode: 'keep', why: 'as logprobs' },
  { field: 'tools', prefill: 'keep', decode: 'keep', why: 'leg 2 needs them to read tool calls' },
  { field: 'tool_choice', prefill: 'keep', decode: 'keep', why: 'as tools' },
  { field: 'response_format', prefill: 'keep', decode: 'keep', why: 'constrains the first token too' },
  {
    field: 'prompt',
    prefill: 'keep',
    decode: 'keep',
    unsplittable: { as: 'prompt_list', when: isPromptList },
    why: 'one prompt a request; leg 2 gets its token ids',
  },
  {
    field: 'prompt_token_ids',
    prefill: 'keep',
    decode: 'keep',
    why: 'leg 2 of a chat gets the ids of the rendered prompt',
  },
  {
    field: 'n',
    prefill: 'keep',
    decode: 'keep',
    unsplittable: { as: 'n', when: isAboveOne },
    why: 'the state belongs to one sequence',
  },
  { field: 'best_of', prefill: 'keep', decode: 'keep', unsplittable: { as: 'best_of', when: isAboveOne }, why: 'as n' },
  {
    field: 'use_beam_search',
    prefill: 'keep',
    decode: 'keep',
    unsplittable: { as: 'use_beam_search', when: isSet },
    why: 'beam width 1 only',
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
    why: 'as prompt_logprobs',
  },
  {
    field: 'disaggregated_params',
    prefill: 'fill',
    decode: 'fill',
    why: 'asks for the state; carried as bytes into leg 2',
  },
];
