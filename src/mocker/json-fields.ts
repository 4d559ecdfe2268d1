import { invalidField, missingField } from './api-error.ts';

/** Fields of a JSON body as vLLM reads them; each function throws its 400 for what does not fit. Absent and null: undefined. */
export type Body = Record<string, unknown>;

const INTEGER = 'Input should be a valid integer';
const YES = ['true', 't', 'yes', 'y', 'on', '1'];
const NO = ['false', 'f', 'no', 'n', 'off', '0'];
const MAX_INT64 = 2n ** 63n - 1n;

/** Also takes a number written as a string, and `true` for 1. */
export function integer(body: Body, field: string): number | undefined {
  const value = body[field];
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'boolean') return Number(value);
  const number = typeof value === 'string' && /^[+-]?\d+$/.test(value) ? Number(value) : value;
  if (typeof number === 'number' && Number.isSafeInteger(number)) return number;
  throw noInteger(value, field);
}

function noInteger(value: unknown, field: string): Error {
  if (typeof value === 'string')
    return invalidField(`${INTEGER}, unable to parse string as an integer`, 'int_parsing', value, field);
  if (typeof value !== 'number') return invalidField(INTEGER, 'int_type', value, field);
  if (!Number.isInteger(value))
    return invalidField(`${INTEGER}, got a number with a fractional part`, 'int_from_float', value, field);
  return value > 0
    ? invalidField(`Input should be less than or equal to ${MAX_INT64}`, 'less_than_equal', value, field)
    : invalidField(`Input should be greater than or equal to ${-MAX_INT64 - 1n}`, 'greater_than_equal', value, field);
}

/** Also takes a number written as a string. */
export function number(body: Body, field: string): number | undefined {
  const value = body[field];
  if (value === undefined || value === null) return undefined;
  const parsed = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof parsed === 'number' && Number.isFinite(parsed)) return parsed;
  const problem = 'Input should be a valid number';
  throw typeof value === 'string'
    ? invalidField(`${problem}, unable to parse string as a number`, 'float_parsing', value, field)
    : invalidField(problem, 'float_type', value, field);
}

/** Also takes 1, 0 and the words that pydantic takes. */
export function flag(body: Body, field: string): boolean {
  const value = body[field];
  if (value === undefined || value === null || value === false || value === 0) return false;
  if (value === true || value === 1) return true;
  const word = typeof value === 'string' ? value.toLowerCase() : '';
  if (YES.includes(word)) return true;
  if (NO.includes(word)) return false;
  throw invalidField('Input should be a valid boolean, unable to interpret input', 'bool_parsing', value, field);
}

export function optionalObject(body: Body, field: string): Record<string, unknown> | undefined {
  const value = body[field];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw invalidField('Input should be a valid dictionary', 'dict_type', value, field);
  }
  return value as Record<string, unknown>;
}

export function optionalText(body: Body, field: string): string | undefined {
  const value = body[field];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string') throw invalidField('Input should be a valid string', 'string_type', value, field);
  return value;
}

/** Token ids; `field` is where they stand. */
export function tokenList(value: unknown, field: string): number[] | undefined {
  if (value === undefined || value === null) return undefined;
  if (!Array.isArray(value)) throw invalidField('Input should be a valid list', 'list_type', value, field);
  for (const [index, token] of value.entries()) {
    if (Number.isInteger(token) && token >= 0 && token <= 0xffffffff) continue;
    throw Number.isInteger(token)
      ? invalidField(INTEGER, 'int_type', token, `${field}.${index}`)
      : noInteger(token, `${field}.${index}`);
  }
  return value;
}

/** The list that `/detokenize` needs. */
export function requiredTokens(body: Body, field: string): number[] {
  const value = body[field];
  if (value === undefined) throw missingField(body, field);
  if (Array.isArray(value)) {
    const index = value.findIndex((token) => Number.isInteger(token) && token < 0);
    const bound = { problem: 'Input should be greater than or equal to 0', type: 'greater_than_equal' };
    if (index >= 0) throw invalidField(bound.problem, bound.type, value[index], `${field}.${index}`, "{'ge': 0}");
  }
  return tokenList(value, field) ?? [];
}
