import { badParameter, badRequest } from './api-error.ts';
import { type Body, flag, integer, number, optionalObject, optionalText } from './json-fields.ts';

/** Throws vLLM's 400 for settings that do not fit or are out of range. The simulated model takes no notice of those in range. */
export function checkSampling(body: Body, n: number): void {
  const temperature = number(body, 'temperature');
  if (temperature !== undefined) {
    if (temperature < 0) refuse('temperature', 'non-negative', temperature);
    if (temperature > 2) refuse('temperature', 'in [0, 2]', temperature);
    if (temperature === 0 && n > 1) throw badRequest(`n must be 1 when using greedy sampling, got ${n}.`);
  }
  const topP = number(body, 'top_p');
  if (topP !== undefined && (topP <= 0 || topP > 1)) refuse('top_p', 'in (0, 1]', topP);
  const topK = integer(body, 'top_k');
  if (topK !== undefined && topK < -1) throw badRequest(`top_k must be 0 (disable), or at least 1, got ${topK}.`);
  checkRange(body, 'min_p', 'in [0, 1]', (value) => value >= 0 && value <= 1);
  for (const field of ['presence_penalty', 'frequency_penalty'])
    checkRange(body, field, 'in [-2, 2]', (value) => value >= -2 && value <= 2);
  checkRange(body, 'repetition_penalty', 'greater than zero', (value) => value > 0);
  checkOthers(body);
}

/** Fields whose wrong types vLLM refuses, and that mean nothing here. */
function checkOthers(body: Body): void {
  for (const field of ['ignore_eos', 'include_stop_str_in_output', 'skip_special_tokens']) flag(body, field);
  integer(body, 'priority');
  optionalText(body, 'user');
  const salt = body['cache_salt'];
  if (salt !== undefined && salt !== null && (typeof salt !== 'string' || salt === ''))
    throw badParameter("Parameter 'cache_salt' must be a non-empty string if provided.", 'cache_salt');
  const strays = Object.keys(optionalObject(body, 'logit_bias') ?? {}).filter((key) => !/^-?\d+$/.test(key));
  if (strays.length === 0) return;
  const list = `[${strays.map((key) => `'${key}'`).join(', ')}]`;
  throw badParameter(
    `logit_bias contains key(s) that cannot be converted to integer token IDs: ${list}`,
    'logit_bias',
    list,
  );
}

/** Throws vLLM's 400 for tools that are chosen and not there. */
export function checkTools(body: Body): void {
  const { tools, tool_choice: choice } = body;
  if (Array.isArray(tools) && tools.length === 0)
    throw badParameter(
      '`tools` must not be an empty array. Either provide at least one tool or omit the field entirely.',
      'tools',
    );
  const chosen = choice !== undefined && choice !== null && choice !== 'none';
  if (chosen && (tools === undefined || tools === null))
    throw badParameter('When using `tool_choice`, `tools` must be set.', 'tool_choice');
}

function checkRange(body: Body, field: string, range: string, isIn: (value: number) => boolean): void {
  const value = number(body, field);
  if (value !== undefined && !isIn(value)) throw badRequest(`${field} must be ${range}, got ${shown(value)}.`);
}

function refuse(field: string, range: string, value: number): never {
  throw badParameter(`${field} must be ${range}, got ${shown(value)}.`, field, shown(value));
}

/** As Python prints a float. */
const shown = (value: number): string => (Number.isInteger(value) ? value.toFixed(1) : String(value));
