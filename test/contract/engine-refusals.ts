import type { EnginePair } from './engine-surface.ts';

export const MESSAGES = [{ role: 'user', content: 'Tell me about rivers.' }];

/** A request that is refused, and with what. */
export interface Refusal {
  name: string;
  path: string;
  body?: (pair: EnginePair) => object;
  /** In place of JSON made from `body`. */
  raw?: string;
  /** Content type, if not JSON. */
  type?: string;
  /** Status, type, parameter, message. */
  expected: [number, string, string | null, string | RegExp];
}

const BAD = 'BadRequestError';
const MISFIT = 'Bad Request';
const CHAT = '/v1/chat/completions';
const TEXT = '/v1/completions';

/** A refusal of a chat, or of a completion, because of one of its fields. */
const chatWith = (fields: object, ...expected: Refusal['expected']): Refusal => ({
  name: `a chat with ${JSON.stringify(fields)}`,
  path: CHAT,
  body: () => ({ messages: MESSAGES, max_tokens: 6, temperature: 0, ...fields }),
  expected,
});
const textWith = (fields: object, ...expected: Refusal['expected']): Refusal => ({
  name: `a completion with ${JSON.stringify(fields)}`,
  path: TEXT,
  body: () => ({ prompt: 'x', max_tokens: 6, temperature: 0, ...fields }),
  expected,
});
const bytes = (raw: string, ...expected: Refusal['expected']): Refusal => ({
  name: `the body ${JSON.stringify(raw)}`,
  path: TEXT,
  raw,
  expected,
});
const misfit = (type: string, where: string, message: string): RegExp =>
  new RegExp(
    `^1 validation error:\\n {2}\\{'type': '${type}', 'loc': '${where}', 'msg': '${message}', 'input': '.*'\\}$`,
  );
const NO_PROMPT = 'Either prompt or prompt_embeds must be provided and non-empty. (parameter=prompt)';

/** As vLLM 0.32 was seen to refuse. */
export const REFUSALS: Refusal[] = [
  {
    name: 'a prompt that is too long',
    path: TEXT,
    body: ({ maxModelLen }) => ({ prompt: Array.from({ length: maxModelLen + 4 }, () => 0x61) }),
    expected: [
      ...([400, BAD, 'input_tokens'] as const),
      /^This model's maximum context length is \d+ tokens\. However, your prompt contains \d+ input tokens, which exceeds this limit even without any output tokens\. Please reduce the length of the input prompt\. \(parameter=input_tokens, value=\d+\)$/,
    ],
  },
  {
    name: 'a text that is too long: it was cut before it was counted',
    path: TEXT,
    body: ({ maxModelLen }) => ({ prompt: 'x '.repeat(2 * maxModelLen) }),
    expected: [400, BAD, 'input_tokens', /your prompt contains at least (\d+) input tokens, .*value=\1\)$/],
  },
  {
    name: 'a chat that is too long',
    path: CHAT,
    body: ({ maxModelLen }) => ({ messages: [{ role: 'user', content: 'x '.repeat(2 * maxModelLen) }] }),
    expected: [400, BAD, 'input_tokens', /your prompt contains at least (\d+) input tokens, .*value=\1\)$/],
  },
  {
    name: 'a prompt that leaves no room for a token',
    path: TEXT,
    body: ({ maxModelLen }) => ({ prompt: Array.from({ length: maxModelLen }, () => 0x61) }),
    expected: [400, BAD, 'max_tokens', 'max_tokens must be at least 1, got 0. (parameter=max_tokens, value=0)'],
  },
  ...['max_tokens', 'max_completion_tokens'].map(
    (field): Refusal => ({
      name: `more than the model can take as ${field}`,
      path: CHAT,
      body: ({ maxModelLen }) => ({ messages: MESSAGES, [field]: maxModelLen + 1 }),
      expected: [
        ...([400, BAD, field] as const),
        new RegExp(
          `^${field}=(\\d+) cannot be greater than max_model_len=\\d+\\. Please request fewer output tokens\\. \\(parameter=${field}, value=\\1\\)$`,
        ),
      ],
    }),
  ),
  chatWith(
    { max_tokens: 0 },
    400,
    BAD,
    'max_tokens',
    'max_tokens must be at least 1, got 0. (parameter=max_tokens, value=0)',
  ),
  chatWith(
    { max_tokens: 'abc' },
    400,
    MISFIT,
    'body.max_tokens',
    misfit('int_parsing', 'body.max_tokens', 'Input should be a valid integer, unable to parse string as an integer'),
  ),
  chatWith(
    { max_tokens: 1.5 },
    400,
    MISFIT,
    'body.max_tokens',
    misfit('int_from_float', 'body.max_tokens', 'Input should be a valid integer, got a number with a fractional part'),
  ),
  chatWith({ min_tokens: 9 }, 400, BAD, null, 'min_tokens must be less than or equal to max_tokens=6, got 9.'),
  chatWith({ min_tokens: -1 }, 400, BAD, null, 'min_tokens must be greater than or equal to 0, got -1.'),
  chatWith({ n: 0 }, 400, BAD, null, 'n must be at least 1, got 0.'),
  chatWith({ n: 1e9 }, 400, BAD, null, /^n must be at most 16384, got 1000000000\./),
  chatWith({ n: 2 }, 400, BAD, null, 'n must be 1 when using greedy sampling, got 2.'),
  chatWith(
    { temperature: 5 },
    400,
    BAD,
    'temperature',
    'temperature must be in [0, 2], got 5.0. (parameter=temperature, value=5.0)',
  ),
  chatWith(
    { temperature: -1 },
    400,
    BAD,
    'temperature',
    'temperature must be non-negative, got -1.0. (parameter=temperature, value=-1.0)',
  ),
  chatWith({ top_p: 2 }, 400, BAD, 'top_p', 'top_p must be in (0, 1], got 2.0. (parameter=top_p, value=2.0)'),
  chatWith({ top_k: -2 }, 400, BAD, null, 'top_k must be 0 (disable), or at least 1, got -2.'),
  chatWith({ min_p: 2 }, 400, BAD, null, 'min_p must be in [0, 1], got 2.0.'),
  chatWith({ presence_penalty: 9 }, 400, BAD, null, 'presence_penalty must be in [-2, 2], got 9.0.'),
  textWith({ frequency_penalty: -3 }, 400, BAD, null, 'frequency_penalty must be in [-2, 2], got -3.0.'),
  textWith({ repetition_penalty: 0 }, 400, BAD, null, 'repetition_penalty must be greater than zero, got 0.0.'),
  textWith(
    { temperature: 'x' },
    400,
    MISFIT,
    'body.temperature',
    misfit('float_parsing', 'body.temperature', 'Input should be a valid number, unable to parse string as a number'),
  ),
  textWith(
    { logit_bias: { a: 1 } },
    400,
    BAD,
    'logit_bias',
    "logit_bias contains key(s) that cannot be converted to integer token IDs: ['a'] (parameter=logit_bias, value=['a'])",
  ),
  textWith(
    { cache_salt: '' },
    400,
    BAD,
    'cache_salt',
    "Parameter 'cache_salt' must be a non-empty string if provided. (parameter=cache_salt)",
  ),
  chatWith({ user: 5 }, 400, MISFIT, 'body.user', misfit('string_type', 'body.user', 'Input should be a valid string')),
  chatWith(
    { priority: 'x' },
    400,
    MISFIT,
    'body.priority',
    misfit('int_parsing', 'body.priority', 'Input should be a valid integer, unable to parse string as an integer'),
  ),
  ...['return_token_ids', 'ignore_eos', 'logprobs'].map((field) =>
    chatWith(
      { [field]: 'x' },
      400,
      MISFIT,
      `body.${field}`,
      misfit('bool_parsing', `body.${field}`, 'Input should be a valid boolean, unable to interpret input'),
    ),
  ),
  chatWith(
    { tools: [] },
    400,
    BAD,
    'tools',
    '`tools` must not be an empty array. Either provide at least one tool or omit the field entirely. (parameter=tools)',
  ),
  ...['auto', 'required'].map((choice) =>
    chatWith(
      { tool_choice: choice },
      400,
      BAD,
      'tool_choice',
      'When using `tool_choice`, `tools` must be set. (parameter=tool_choice)',
    ),
  ),
  chatWith(
    { top_logprobs: 2 },
    400,
    BAD,
    'top_logprobs',
    'when using `top_logprobs`, `logprobs` must be set to true. (parameter=top_logprobs)',
  ),
  chatWith(
    { logprobs: true, top_logprobs: 30 },
    400,
    BAD,
    'logprobs',
    'Requested sample logprobs of 30, which is greater than max allowed: 20 (parameter=logprobs, value=30)',
  ),
  chatWith(
    { stream_options: { include_usage: true } },
    400,
    BAD,
    'stream_options',
    'Stream options can only be defined when `stream=True`. (parameter=stream_options)',
  ),
  ...[5, null].map((content) =>
    chatWith(
      { messages: [{ role: 'user', content }] },
      400,
      MISFIT,
      'body.messages.0.ChatCompletionDeveloperMessageParam.content',
      /^\d+ validation errors?:\n {2}\{'type': 'string_type', 'loc': 'body\.messages\.0\.ChatCompletionDeveloperMessageParam\.content', 'msg': 'Input should be a valid string'/,
    ),
  ),
  chatWith(
    { messages: [...MESSAGES, 1] },
    400,
    MISFIT,
    'body.messages.1.ChatCompletionDeveloperMessageParam',
    /^\d+ validation errors?:\n {2}\{'type': 'dict_type', 'loc': 'body\.messages\.1\.ChatCompletionDeveloperMessageParam'/,
  ),
  chatWith(
    { messages: [{}] },
    400,
    MISFIT,
    'body.messages.0.ChatCompletionDeveloperMessageParam.content',
    /^\d+ validation errors?:\n {2}\{'type': 'missing', 'loc': 'body\.messages\.0\.ChatCompletionDeveloperMessageParam\.content', 'msg': 'Field required'/,
  ),
  chatWith(
    { messages: [{ role: 'user', content: [{ type: 'text' }] }] },
    400,
    BAD,
    null,
    /^\d+ validation errors? for ValidatorIterator\n0\.ChatCompletionContentPartTextParam\.text\n {2}Field required/,
  ),
  chatWith({ messages: undefined }, 400, MISFIT, 'body.messages', misfit('missing', 'body.messages', 'Field required')),
  chatWith(
    { messages: 'hi' },
    400,
    MISFIT,
    'body.messages',
    misfit('list_type', 'body.messages', 'Input should be a valid list'),
  ),
  chatWith(
    { messages: [] },
    400,
    BAD,
    null,
    'Cannot apply chat template to an empty conversation. Provide at least one message.',
  ),
  chatWith(
    { model: 3 },
    400,
    MISFIT,
    'body.model',
    misfit('string_type', 'body.model', 'Input should be a valid string'),
  ),
  textWith({ prompt: undefined }, 400, BAD, 'prompt', NO_PROMPT),
  textWith({ prompt: '' }, 400, BAD, 'prompt', NO_PROMPT),
  textWith({ prompt: [] }, 400, BAD, null, 'You must pass at least one prompt'),
  textWith({ prompt: [[]] }, 400, BAD, null, 'The decoder prompt cannot be empty'),
  textWith({ stop: [''] }, 400, BAD, null, 'stop cannot contain an empty string.'),
  ...[chatWith, textWith].map((refuse) =>
    refuse(
      { stop: ['a', 'b', 'c', 'd', 'e'] },
      400,
      MISFIT,
      'body.stop',
      "2 validation errors:\n  {'type': 'string_type', 'loc': 'body.stop', 'msg': 'Input should be a valid string', 'input': '<list of 5 items>'}\n  {'type': 'too_long', 'loc': 'body.stop', 'msg': 'List should have at most 4 items after validation, not 5', 'input': '<list of 5 items>', 'ctx': {'field_type': 'List', 'max_length': 4, 'actual_length': 5}}",
    ),
  ),
  textWith(
    { stop_token_ids: ['a'] },
    400,
    MISFIT,
    'body.stop_token_ids.0',
    misfit(
      'int_parsing',
      'body.stop_token_ids.0',
      'Input should be a valid integer, unable to parse string as an integer',
    ),
  ),
  {
    name: 'to detokenize nothing',
    path: '/detokenize',
    body: () => ({}),
    expected: [400, MISFIT, 'body.tokens', misfit('missing', 'body.tokens', 'Field required')],
  },
  {
    name: 'to detokenize a token below 0',
    path: '/detokenize',
    body: () => ({ tokens: [5, -1] }),
    expected: [
      ...([400, MISFIT, 'body.tokens.1'] as const),
      "1 validation error:\n  {'type': 'greater_than_equal', 'loc': 'body.tokens.1', 'msg': 'Input should be greater than or equal to 0', 'input': '-1', 'ctx': {'ge': 0}}",
    ],
  },
  textWith(
    { stop_token_ids: {} },
    400,
    MISFIT,
    'body.stop_token_ids',
    misfit('list_type', 'body.stop_token_ids', 'Input should be a valid list'),
  ),
  textWith(
    { seed: 'a' },
    400,
    MISFIT,
    'body.seed',
    misfit('int_parsing', 'body.seed', 'Input should be a valid integer, unable to parse string as an integer'),
  ),
  textWith(
    { stream: 'maybe' },
    400,
    MISFIT,
    'body.stream',
    misfit('bool_parsing', 'body.stream', 'Input should be a valid boolean, unable to interpret input'),
  ),
  textWith(
    { kv_transfer_params: 'a' },
    400,
    MISFIT,
    'body.kv_transfer_params',
    misfit('dict_type', 'body.kv_transfer_params', 'Input should be a valid dictionary'),
  ),
  bytes(
    '{"prompt":"x"',
    400,
    MISFIT,
    'body.13',
    /^1 validation error:\n {2}\{'type': 'json_invalid', 'loc': 'body\.13', 'msg': 'JSON decode error'/,
  ),
  bytes('', 400, MISFIT, 'body', misfit('missing', 'body', 'Field required')),
  bytes('null', 400, MISFIT, 'body', misfit('missing', 'body', 'Field required')),
  bytes(
    '[]',
    400,
    MISFIT,
    'body',
    misfit('model_attributes_type', 'body', 'Input should be a valid dictionary or object to extract fields from'),
  ),
  {
    name: 'what is not called JSON',
    path: TEXT,
    raw: '{}',
    type: 'text/plain',
    expected: [400, MISFIT, null, "1 validation error:\n  Unsupported Media Type: Only 'application/json' is allowed"],
  },
];
