import type { RecipeIssue } from '../recipe/problem.ts';
import type { EngineArgs, EngineArgValue, RecipePath } from '../recipe/recipe.ts';

/** How an engine wants what is not one plain value. */
export interface ArgStyle {
  /** A list as one flag with several values, as the flag repeated, or as one value with commas. */
  lists: 'values' | 'repeat' | 'commas';
  /** What `false` becomes: the flag's `--no-` form (the default), or nothing for an engine that has none. */
  off?: 'no-form' | 'omit';
  /** Flags whose words are joined by underscores. */
  underscores?: boolean;
}

/** The user's flags as argv words. `true` is the bare flag, `false` its `--no-` form or nothing, `null` nothing, a map JSON. */
export function formatArgs(args: EngineArgs, style: ArgStyle): string[] {
  return Object.entries(args).flatMap(([name, value]) => {
    const flag = flagName(name);
    return formatArg(style.underscores ? flag.replaceAll('-', '_') : flag, value, style);
  });
}

function formatArg(name: string, value: EngineArgValue, style: ArgStyle): string[] {
  if (value === null) return [];
  if (value === true) return [`--${name}`];
  if (value === false) return style.off === 'omit' ? [] : [`--no-${name}`];
  if (Array.isArray(value)) {
    if (style.lists === 'commas') return [`--${name}`, value.join(',')];
    if (style.lists === 'repeat') return value.flatMap((item) => [`--${name}`, String(item)]);
    return [`--${name}`, ...value.map(String)];
  }
  return [`--${name}`, typeof value === 'object' ? JSON.stringify(value) : String(value)];
}

/** Engines take `max_model_len` for `max-model-len`; one spelling makes flags comparable. Dotted sub-keys stay as they are. */
export function flagName(name: string): string {
  const [head = name, ...rest] = name.split('.');
  return [head.replaceAll('_', '-'), ...rest].join('.');
}

/** Value of a flag however it is spelled; of several names, that of the first there is. */
export function argValue(args: EngineArgs, ...flags: readonly string[]): EngineArgValue | undefined {
  for (const flag of flags) {
    const found = Object.entries(args).find(([name]) => flagName(name) === flag);
    if (found) return found[1];
  }
  return undefined;
}

/** A flag's positive whole number; `fallback` when it is absent or none. A list of names: aliases of one flag. */
export function argNumber(args: EngineArgs, flag: string | readonly string[], fallback: number): number {
  const value = argValue(args, ...(typeof flag === 'string' ? [flag] : flag));
  const number = typeof value === 'string' ? Number(value) : value;
  return typeof number === 'number' && Number.isInteger(number) && number > 0 ? number : fallback;
}

/** A problem for each flag that the adapter sets itself or that would break what dynamo does. */
export function refuseArgs(
  path: RecipePath,
  args: EngineArgs,
  reserved: Readonly<Record<string, string>>,
): RecipeIssue[] {
  return Object.keys(args).flatMap((name) => {
    const flag = flagName(name).split('.')[0] ?? name;
    const reason = Object.hasOwn(reserved, flag) ? reserved[flag] : undefined;
    return reason === undefined
      ? []
      : [{ path: [...path, 'args', name], message: `\`${flag}\` cannot be set here: ${reason}`, atKey: true }];
  });
}

/** The same for environment variables. */
export function refuseEnv(
  path: RecipePath,
  env: Readonly<Record<string, unknown>>,
  reserved: Readonly<Record<string, string>>,
): RecipeIssue[] {
  return Object.keys(env).flatMap((name) => {
    const reason = Object.hasOwn(reserved, name) ? reserved[name] : undefined;
    return reason === undefined
      ? []
      : [{ path: [...path, 'env', name], message: `\`${name}\` cannot be set here: ${reason}`, atKey: true }];
  });
}

/** The args without some flags, however these are spelled. */
export function withoutArgs(args: EngineArgs, flags: readonly string[]): EngineArgs {
  return Object.fromEntries(Object.entries(args).filter(([name]) => !flags.includes(flagName(name))));
}
