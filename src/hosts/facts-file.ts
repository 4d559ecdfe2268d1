import { readFileSync } from 'node:fs';
import { DynamoError, systemCode } from '../base/errors.ts';
import { type HostFacts, hostFactsSchema } from './host-facts.ts';

/** Reads a described machine (JSON, see `hostFactsSchema`). Throws `USAGE` with every problem. */
export function readFactsFile(file: string): HostFacts {
  let data: unknown;
  try {
    data = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    const why = error instanceof SyntaxError ? `it is not JSON (${error.message})` : (systemCode(error) ?? 'unknown');
    throw unusable(file, [why]);
  }
  const result = hostFactsSchema.safeParse(data);
  if (!result.success)
    throw unusable(
      file,
      result.error.issues.map((issue) => `${issue.path.join('.') || 'the whole'}: ${issue.message}`),
    );
  const indices = result.data.gpus.map((gpu) => gpu.index);
  if (new Set(indices).size < indices.length) throw unusable(file, ['two GPUs have the same index']);
  return result.data;
}

function unusable(file: string, details: string[]): DynamoError {
  return new DynamoError('USAGE', `${file} does not describe a machine`, {
    details,
    hint: 'It is JSON such as {"name": "local", "gpus": [{"index": 0, "name": "NVIDIA H100 80GB HBM3", "memoryBytes": 85899345920}]}.',
  });
}
