import type { EngineArgs } from '../../recipe/recipe.ts';
import { argValue, flagName } from '../engine-args.ts';
import type { WorkerSettings } from '../worker.ts';

/** Helpers with which adapters say how a worker uses its model. */

/** A flag as the recipe writes it, so that a problem can point at it; the first name where it is not written. */
export function writtenFlag(args: EngineArgs, ...names: readonly string[]): string {
  return Object.keys(args).find((name) => names.includes(flagName(name))) ?? names[0]!;
}

/** A length in tokens: `32768`, `32k` (thousands), `32K` (1024s). Undefined when absent, `auto` or -1. */
export function lengthOf(args: EngineArgs, flag: string): { tokens: number; flag: string } | undefined {
  const value = argValue(args, flag);
  const [, digits, unit] = /^(\d+(?:\.\d+)?)([kKmM]?)$/.exec(String(value ?? '')) ?? [];
  if (digits === undefined) return undefined;
  const factor = { k: 1_000, K: 1_024, m: 1_000_000, M: 1_024 ** 2 }[unit ?? ''] ?? 1;
  return { tokens: Math.floor(Number(digits) * factor), flag: writtenFlag(args, flag) };
}

/** A flag that holds a map, or a map as JSON text. */
export function mapOf(args: EngineArgs, flag: string): Readonly<Record<string, unknown>> {
  const value = argValue(args, flag);
  try {
    const parsed: unknown = typeof value === 'string' ? JSON.parse(value) : value;
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? { ...parsed } : {};
  } catch {
    return {};
  }
}

export function textOf(args: EngineArgs, flag: string): string | undefined {
  const value = argValue(args, flag);
  return typeof value === 'string' ? value : undefined;
}

/** Weights come out of the model's own folder, whole. */
export function loadsOwnWeights({ args, load }: WorkerSettings): boolean {
  const loader = load?.loader ?? 'default';
  return loader === 'default' && [undefined, 'auto', 'safetensors'].includes(textOf(args, 'load-format'));
}

/** A switch among environment variables. */
export const isOn = ({ env }: WorkerSettings, name: string): boolean => env[name] === '1' || env[name] === 'true';
