import type { EngineName } from '../recipe/schema.ts';
import type { Engine } from './engine.ts';
import { llamacppEngine } from './llamacpp/llamacpp-engine.ts';
import { mockerEngine } from './mocker/mocker-engine.ts';
import { openaiEngine } from './openai/openai-engine.ts';
import { sglangEngine } from './sglang/sglang-engine.ts';
import { trtllmEngine } from './trtllm/trtllm-engine.ts';
import { vllmEngine } from './vllm/vllm-engine.ts';

const ENGINES: Record<EngineName, Engine> = {
  mocker: mockerEngine,
  vllm: vllmEngine,
  sglang: sglangEngine,
  trtllm: trtllmEngine,
  llamacpp: llamacppEngine,
  openai: openaiEngine,
};

/** The adapter of an engine. */
export function findEngine(name: EngineName): Engine {
  return ENGINES[name];
}

/** Whether a name out of a plan, which may have been written by another version, is that of an engine. */
export function isEngineName(name: string | null): name is EngineName {
  return name !== null && Object.hasOwn(ENGINES, name);
}
