import { DynamoError } from '../base/errors.ts';
import { findEngine } from '../engines/find-engine.ts';
import { findCommand } from '../hosts/find-command.ts';
import { listGpus } from '../hosts/gpus.ts';
import { type Machine, proposeEngine, proposeGpus, proposeModel, proposeTemplate } from '../init/propose.ts';
import { findTemplate, type Template, type TemplateEngine } from '../init/templates.ts';

export interface InitFlags {
  model?: string;
  engine?: string;
  gpus?: string;
  port?: string;
  output?: string;
  force?: boolean;
  list?: boolean;
  json?: boolean;
}

/** What is to be written, before the files' names are known. */
export interface InitChoice {
  template: Template;
  model: string;
  engine: TemplateEngine;
  gpus: number;
  port: number | 'auto';
}

/** GPUs and engines of this machine. */
export async function lookAround(): Promise<Machine> {
  const engines = (['vllm', 'sglang', 'trtllm', 'llamacpp'] as const).filter((name) => {
    const program = findEngine(name).command?.name;
    return program !== undefined && findCommand(program) !== undefined;
  });
  return { gpus: await listGpus(), engines };
}

/** Flags first, then what suits the machine. Throws `USAGE`. */
export function proposeInit(templateName: string | undefined, flags: InitFlags, machine: Machine): InitChoice {
  const template = findTemplate(templateName ?? proposeTemplate(machine));
  const engine = (flags.engine as TemplateEngine | undefined) ?? proposeEngine(template, machine);
  if (!template.engines.includes(engine))
    throw new DynamoError('USAGE', `the template ${template.name} is not written for ${engine}`, {
      hint: `It is for ${template.engines.join(', ')}.`,
    });
  return {
    template,
    engine,
    model: flags.model ?? proposeModel(engine, machine),
    gpus: flags.gpus === undefined ? proposeGpus(template, engine, machine) : readCount(flags.gpus, '--gpus', 0, 64),
    port: readPort(flags.port ?? '8000'),
  };
}

export function readPort(text: string): number | 'auto' {
  return text === 'auto' ? 'auto' : readCount(text, '--port', 1, 65_535);
}

function readCount(text: string, name: string, least: number, most: number): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new DynamoError('USAGE', `${name}: ${text} is not a whole number from ${least} to ${most}`);
}
