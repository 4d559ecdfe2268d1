import { z } from 'zod';
import { parseBytes } from '../base/bytes.ts';
import { parseDuration } from '../base/duration.ts';

/** A length of time; milliseconds once read. */
export const duration = z
  .union([z.string(), z.number()], { error: 'expected a duration such as 500ms, 30s, 5m or 1h' })
  .transform((written, context) => {
    const ms = parseDuration(written);
    if (ms !== undefined) return ms;
    context.addIssue({ code: 'custom', message: 'expected a duration such as 500ms, 30s, 5m or 1h' });
    return z.NEVER;
  })
  .meta({ id: 'Duration', description: 'A duration: `500ms`, `30s`, `5m`, `1h`; a bare number counts seconds.' });

/** An amount of data; bytes once read. */
export const byteSize = z
  .union([z.string(), z.number()], { error: 'expected a size such as 192MiB or 2GB' })
  .transform((written, context) => {
    const bytes = parseBytes(written);
    if (bytes !== undefined) return bytes;
    context.addIssue({ code: 'custom', message: 'expected a size such as 192MiB or 2GB' });
    return z.NEVER;
  })
  .meta({ id: 'Size', description: 'An amount of data: `192MiB`, `2GB`; a bare number counts bytes.' });

export const port = z.int().min(1).max(65_535);

export const variableName = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, { error: 'expected the name of an environment variable, such as HF_TOKEN' });

const literal = z.union([z.string(), z.number(), z.boolean()]).transform(String);

/** A value, or where to find a secret: the recipe never holds it. */
export const envValue = z
  .union([
    literal,
    z.strictObject({ fromEnv: variableName.describe('Variable of the shell that starts dynamo.') }),
    z.strictObject({ fromFile: z.string().min(1).describe('File whose content, without the final newline, it is.') }),
  ])
  .meta({
    id: 'EnvValue',
    description: 'Text, or the place of a secret: `{ fromEnv: HF_TOKEN }` or `{ fromFile: ./token }`.',
  });

export const envMap = z.record(variableName, envValue).meta({ id: 'Env', description: 'Environment variables.' });
