import path from 'node:path';

/** The folders that `npm run test:engines` prepares; undefined where these tests cannot run. */
export const engineFolder: string | undefined = process.env['DYNAMO_TEST_VLLM'] || undefined;
export const llamacppFolder: string | undefined = process.env['DYNAMO_TEST_LLAMACPP'] || undefined;

/** A recipe of this folder. */
export function recipe(name: string): string {
  return path.join(import.meta.dirname, '..', 'recipes', `${name}.yaml`);
}

/** Real engines start in minutes where the machine is busy. */
export const START_DEADLINE_MS = 10 * 60_000;
