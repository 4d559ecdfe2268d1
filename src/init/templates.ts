import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { DynamoError } from '../base/errors.ts';
import { packageRoot } from '../base/package-root.ts';
import { didYouMean } from '../yaml/nearest.ts';

/** One scaffold of `dynamo init`. */
export interface Template {
  name: string;
  summary: string;
  /** Engines it is written for, the usual one first. */
  engines: readonly TemplateEngine[];
  /** Workers that get GPUs of their own on one host: what the GPUs there are divided by. */
  gpuWorkers: number;
}

export type TemplateEngine = 'mocker' | 'vllm' | 'sglang' | 'trtllm' | 'llamacpp';

const AGGREGATED: readonly TemplateEngine[] = ['vllm', 'sglang', 'trtllm', 'llamacpp', 'mocker'];
const DISAGGREGATED: readonly TemplateEngine[] = ['vllm', 'mocker'];

/** In the order in which they are offered. Each is a folder of `templates/` with a `recipe.yaml`. */
export const TEMPLATES: readonly Template[] = [
  {
    name: 'mock',
    summary: 'simulated engine, prefill and decode workers; needs no GPU',
    engines: ['mocker'],
    gpuWorkers: 0,
  },
  { name: 'one-gpu', summary: 'one model on one worker', engines: AGGREGATED, gpuWorkers: 1 },
  { name: 'one-host-pd', summary: 'prefill and decode workers on this machine', engines: DISAGGREGATED, gpuWorkers: 2 },
  {
    name: 'two-hosts-pd',
    summary: 'prefill on one host, decode on another, over SSH',
    engines: DISAGGREGATED,
    gpuWorkers: 1,
  },
  { name: 'many-models', summary: 'two models behind one frontend', engines: AGGREGATED, gpuWorkers: 2 },
];

/** Throws `USAGE` with the names there are. */
export function findTemplate(name: string): Template {
  const found = TEMPLATES.find((template) => template.name === name);
  if (found) return found;
  const names = TEMPLATES.map((template) => template.name);
  throw new DynamoError('USAGE', `there is no template ${name}${didYouMean(name, names)}`, {
    hint: `There are ${names.join(', ')}.`,
  });
}

/** A file of a template: its name and its text with `{{placeholders}}`. */
export interface TemplateFile {
  name: string;
  text: string;
}

export function readTemplate(name: string): TemplateFile[] {
  const folder = path.join(packageRoot, 'templates', name);
  const files = readdirSync(folder).sort();
  return files.map((file) => ({ name: file, text: readFileSync(path.join(folder, file), 'utf8') }));
}
