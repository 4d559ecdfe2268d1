import type { TemplateEngine } from './templates.ts';

/** What a template is filled with. */
export interface TemplateValues {
  /** Name of the deployment. */
  name: string;
  /** As the user would type the recipe's path. */
  file: string;
  /** The same of the hosts file. */
  hostsFile: string;
  model: string;
  engine: TemplateEngine;
  /** GPUs of each worker. */
  gpus: number;
  port: number | 'auto';
}

const ENGINE_TITLES: Record<TemplateEngine, string> = {
  mocker: 'simulated',
  vllm: 'vLLM',
  sglang: 'SGLang',
  trtllm: 'TensorRT-LLM',
  llamacpp: 'llama.cpp',
};

/** Fills `{{name}}` and its siblings in. A placeholder of several lines keeps its indentation. Throws for one that is unknown. Pure. */
export function renderTemplate(text: string, values: TemplateValues): string {
  const known: Record<string, string> = {
    name: yamlText(values.name),
    file: values.file,
    hostsFile: values.hostsFile,
    model: yamlText(values.model),
    engine: values.engine,
    engineTitle: ENGINE_TITLES[values.engine],
    gpus: String(values.gpus),
    port: String(values.port),
    args: engineArgs(values.engine, values.gpus).join('\n'),
  };
  const fill = (line: string): string => {
    const indent = /^[ \t]*/.exec(line)?.[0] ?? '';
    return line.replace(/\{\{(\w+)\}\}/g, (_, name: string) => {
      const value = known[name];
      if (value === undefined) throw new Error(`a template has no value for {{${name}}}`);
      return value.replaceAll('\n', `\n${indent}`);
    });
  };
  return text.split('\n').map(fill).join('\n');
}

/** Flags a first recipe should show, each engine's own spelling. */
function engineArgs(engine: TemplateEngine, gpus: number): string[] {
  switch (engine) {
    case 'mocker':
      return ['block-size: 64', '# 10 = ten times as fast as the simulated GPU.', 'speedup-ratio: 10'];
    case 'vllm':
      return [
        ...(gpus > 1 ? ['# Splits the model over the GPUs of a worker.', `tensor-parallel-size: ${gpus}`] : []),
        '# Longest prompt and answer together, in tokens; more needs more KV cache.',
        'max-model-len: 8192',
        '# Share of GPU memory that vLLM may take.',
        'gpu-memory-utilization: 0.9',
      ];
    case 'sglang':
      return [
        ...(gpus > 1 ? ['# Splits the model over the GPUs of a worker.', `tp-size: ${gpus}`] : []),
        '# Longest prompt and answer together, in tokens; more needs more KV cache.',
        'context-length: 8192',
        '# Share of GPU memory for weights and KV cache.',
        'mem-fraction-static: 0.85',
      ];
    case 'trtllm':
      return [
        ...(gpus > 1 ? ['# Splits the model over the GPUs of a worker.', `tp-size: ${gpus}`] : []),
        '# Longest prompt and answer together, in tokens; more needs more KV cache.',
        'max-seq-len: 8192',
      ];
    case 'llamacpp':
      return ['# Longest prompt and answer together, in tokens; more needs more memory.', 'ctx-size: 8192'];
  }
}

/** Plain where YAML reads it back as the same text, else quoted. */
function yamlText(text: string): string {
  const isPlain = /^[A-Za-z./_~][\w./@~+-]*$/.test(text) && !/^(true|false|null|yes|no|on|off|~)$/i.test(text);
  return isPlain ? text : JSON.stringify(text);
}
