import { editObject, findMember, objectMembers } from './json-members.ts';

/**
 * What becomes of one member of a request body in a leg: it stays byte for byte, goes, is set to a JSON text, is set only where
 * the client sent it, or is filled in by the dialect.
 */
export type LegEdit = 'keep' | 'drop' | 'fill' | { set: string } | { setIfSent: string };

/** One row of a dialect's table: how a request field is treated when a request is split between two workers. */
export interface FieldRule {
  field: string;
  prefill: LegEdit;
  decode: LegEdit;
  /** A request for which `when` holds cannot be split; `as` names that in metrics, headers and messages. */
  unsplittable?: { as: string; when: (value: unknown, request: RequestFields) => boolean };
  why: string;
}

export type FieldTable = readonly FieldRule[];
export type RequestFields = Readonly<Record<string, unknown>>;

/** The first reason why a request cannot be split; undefined when it can. */
export function splitObstacleIn(table: FieldTable, request: RequestFields): string | undefined {
  for (const { field, unsplittable } of table) {
    if (unsplittable?.when(request[field], request)) return unsplittable.as;
  }
  return undefined;
}

/**
 * The body of one leg: the client's bytes, edited as the table says, with `filled` added. A field to fill for which nothing is
 * given goes. Throws `TypeError` when `body` is no JSON object.
 */
export function editLeg(
  table: FieldTable,
  leg: 'prefill' | 'decode',
  body: Buffer,
  filled: readonly (readonly [field: string, value: string | Buffer])[],
): Buffer {
  const remove = new Set(filled.map(([field]) => field));
  const add: (readonly [string, string | Buffer])[] = [];
  let members: ReturnType<typeof objectMembers>;
  for (const rule of table) {
    const edit = rule[leg];
    if (edit === 'keep') continue;
    remove.add(rule.field);
    if (typeof edit === 'string') continue;
    if ('set' in edit) add.push([rule.field, edit.set]);
    else {
      members ??= objectMembers(body) ?? [];
      if (findMember(members, rule.field)) add.push([rule.field, edit.setIfSent]);
    }
  }
  const edited = editObject(body, remove, [...add, ...filled]);
  if (edited === undefined) throw new TypeError('the request body is not a JSON object');
  return edited;
}

/** Anything but absent, null and false. */
export function isSet(value: unknown): boolean {
  return value !== undefined && value !== null && value !== false;
}

/** Engines also take a number written as a string. */
export function isAboveOne(value: unknown): boolean {
  return isSet(value) && !(Number(value) <= 1);
}

export const isZero = (value: unknown): boolean => value === 0;

/** A list of prompts, rather than one text or one list of token ids. */
export function isPromptList(prompt: unknown): boolean {
  return Array.isArray(prompt) && typeof prompt[0] !== 'number';
}

/** More than one prompt: many clients send a list of one. */
export const hasSeveralPrompts = (prompt: unknown): boolean => isPromptList(prompt) && (prompt as unknown[]).length > 1;

/** An echo of the prompt with log probabilities: they exist only where the prompt was computed. */
export const echoesLogprobs = (echo: unknown, request: RequestFields): boolean =>
  isSet(echo) && isSet(request['logprobs']);
