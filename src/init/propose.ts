import type { GpuFacts } from '../hosts/host-facts.ts';
import type { Template, TemplateEngine } from './templates.ts';

/** What is known of the machine a recipe is written for. */
export interface Machine {
  gpus: readonly GpuFacts[];
  /** Engines that are installed. */
  engines: readonly TemplateEngine[];
}

const GIB = 1024 ** 3;
/** Weights of an 8 billion parameter model in 16 bits, with room for KV cache. */
const ROOM_FOR_8B = 22 * GIB;

/** The template that suits the machine. Pure. */
export function proposeTemplate({ gpus }: Machine): string {
  if (gpus.length === 0) return 'mock';
  return gpus.length === 1 ? 'one-gpu' : 'one-host-pd';
}

/** An installed engine that the template is written for, else its usual one. Pure. */
export function proposeEngine(template: Template, { engines }: Machine): TemplateEngine {
  return template.engines.find((engine) => engines.includes(engine)) ?? template.engines[0]!;
}

/** A model that fits the smallest GPU. Pure. */
export function proposeModel(engine: TemplateEngine, { gpus }: Machine): string {
  if (engine === 'mocker') return 'mock-model';
  const smallest = Math.min(...gpus.map((gpu) => gpu.memoryBytes));
  return gpus.length > 0 && smallest >= ROOM_FOR_8B ? 'Qwen/Qwen3-8B' : 'Qwen/Qwen3-0.6B';
}

/** GPUs of each worker: an equal share of what is there, at most 8, a power of two; 1 where there are none yet. Pure. */
export function proposeGpus(template: Template, engine: TemplateEngine, { gpus }: Machine): number {
  if (engine === 'mocker') return 0;
  // A model that fits one GPU needs one: more workers are then better than larger ones.
  if (template.gpuWorkers < 2) return 1;
  const share = Math.floor(gpus.length / template.gpuWorkers);
  return share < 1 ? 1 : Math.min(8, 2 ** Math.floor(Math.log2(share)));
}
