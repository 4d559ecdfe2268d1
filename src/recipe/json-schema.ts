import { z } from 'zod';
import { recipeSchema } from './schema.ts';

/** The part of JSON schema that the recipe's uses. */
export interface JsonSchema {
  $ref?: string;
  type?: string | string[];
  description?: string;
  default?: unknown;
  properties?: Record<string, JsonSchema>;
  additionalProperties?: boolean | JsonSchema;
  patternProperties?: Record<string, JsonSchema | boolean>;
  items?: JsonSchema;
  anyOf?: JsonSchema[];
  allOf?: JsonSchema[];
  enum?: unknown[];
  const?: unknown;
  required?: string[];
  minimum?: number;
  maximum?: number;
  $defs?: Record<string, JsonSchema>;
}

/** JSON schema (2020-12) of a recipe as written, for editors: `# yaml-language-server: $schema=recipe.schema.json`. */
export function recipeJsonSchema(): JsonSchema {
  const schema = z.toJSONSchema(recipeSchema, { io: 'input' }) as JsonSchema;
  schema.patternProperties = { '^x-': true };
  schema.anyOf = [{ required: ['model', 'workers'] }, { required: ['models'] }, { required: ['base'] }];
  return schema;
}
