import type { EngineName } from '../recipe/schema.ts';
import type { Engine } from './engine.ts';
import { mockerEngine } from './mocker/mocker-engine.ts';
import { vllmEngine } from './vllm/vllm-engine.ts';

const ENGINES: Record<EngineName, Engine> = { mocker: mockerEngine, vllm: vllmEngine };

/** The adapter of an engine. */
export function findEngine(name: EngineName): Engine {
  return ENGINES[name];
}

/** The adapter for a name out of a plan, which may have been written by another version; `undefined` when unknown. */
export function engineNamed(name: string | null): Engine | undefined {
  return name !== null && name in ENGINES ? ENGINES[name as EngineName] : undefined;
}
