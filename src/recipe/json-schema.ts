import { z } from 'zod';
import type { JsonSchema } from '../yaml/json-schema.ts';
import { recipeSchema } from './schema.ts';

/** JSON schema (2020-12) of a recipe as written, for editors: `# yaml-language-server: $schema=recipe.schema.json`. */
export function recipeJsonSchema(): JsonSchema {
  const schema = z.toJSONSchema(recipeSchema, { io: 'input' }) as JsonSchema;
  schema.patternProperties = { '^x-': true };
  schema.anyOf = [{ required: ['model', 'workers'] }, { required: ['models'] }, { required: ['base'] }];
  return schema;
}
