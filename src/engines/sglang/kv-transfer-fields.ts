import { echoesLogprobs, type FieldTable, isAboveOne, isSet, isZero } from '../../openai/leg-fields.ts';

/**
 * SGLang, both legs at once with the same body. The prefill worker itself limits its leg to one token, and its answer is dropped;
 * the decode worker streams everything, the first token included. A decode worker takes no request without a room, so what cannot
 * be split needs an aggregated worker.
 * A field that is not listed goes into both legs as it came.
 */
export const SGLANG_FIELDS: FieldTable = [
  { field: 'stream', prefill: 'keep', decode: 'keep', why: 'the same body on both sides' },
  { field: 'stream_options', prefill: 'keep', decode: 'keep', why: 'as stream' },
  {
    field: 'max_tokens',
    prefill: 'keep',
    decode: 'keep',
    unsplittable: { as: 'max_tokens', when: isZero },
    why: 'the prefill worker forces one token; none is no generation',
  },
  {
    field: 'max_completion_tokens',
    prefill: 'keep',
    decode: 'keep',
    unsplittable: { as: 'max_tokens', when: isZero },
    why: 'as max_tokens',
  },
  { field: 'min_tokens', prefill: 'keep', decode: 'keep', why: 'as max_tokens' },
  { field: 'stop', prefill: 'keep', decode: 'keep', why: 'applied by the decode worker' },
  { field: 'logprobs', prefill: 'keep', decode: 'keep', why: 'those of the first token travel with the KV cache' },
  { field: 'top_logprobs', prefill: 'keep', decode: 'keep', why: 'as logprobs' },
  { field: 'tools', prefill: 'keep', decode: 'keep', why: 'part of the prompt through the chat template' },
  { field: 'tool_choice', prefill: 'keep', decode: 'keep', why: 'may change the prompt' },
  {
    field: 'response_format',
    prefill: 'keep',
    decode: 'keep',
    why: 'constrains the first token, which the prefill worker makes',
  },
  { field: 'prompt', prefill: 'keep', decode: 'keep', why: 'a list gets a room and an id for each prompt' },
  {
    field: 'n',
    prefill: 'keep',
    decode: 'keep',
    unsplittable: { as: 'n', when: isAboveOne },
    why: 'answers of one prompt would share a room: lists of rooms are repeated n times',
  },
  { field: 'best_of', prefill: 'keep', decode: 'keep', unsplittable: { as: 'best_of', when: isAboveOne }, why: 'as n' },
  {
    field: 'echo',
    prefill: 'keep',
    decode: 'keep',
    unsplittable: { as: 'echo_logprobs', when: echoesLogprobs },
    why: 'log probabilities of the prompt exist only on the prefill worker',
  },
  {
    field: 'prompt_logprobs',
    prefill: 'keep',
    decode: 'keep',
    unsplittable: { as: 'prompt_logprobs', when: isSet },
    why: 'as echo',
  },
  { field: 'bootstrap_host', prefill: 'fill', decode: 'fill', why: 'where the decode worker finds the prefill worker' },
  { field: 'bootstrap_port', prefill: 'fill', decode: 'fill', why: 'null would mean the receiver’s own port' },
  {
    field: 'bootstrap_room',
    prefill: 'fill',
    decode: 'fill',
    why: 'unique; never 0, which a decode worker reads as not landed yet',
  },
  { field: 'rid', prefill: 'fill', decode: 'fill', why: 'by which each leg can be aborted' },
];
