import type { JsonSchema } from '../yaml/json-schema.ts';

/** `data` with the defaults of the schema where a key is missing. Data that fits no alternative is left as it is. */
export function fillDefaults(data: unknown, schema: JsonSchema, root: JsonSchema = schema): unknown {
  const resolved = dereference(schema, root);
  if (Array.isArray(data)) {
    const items = alternatives(resolved, root).find((option) => option.items)?.items;
    return items ? data.map((item) => fillDefaults(item, items, root)) : data;
  }
  if (!isMap(data)) return data;
  const options = alternatives(resolved, root).filter((option) => option.properties);
  const fitting = options.find(({ properties }) => Object.keys(data).every((key) => key in (properties ?? {})));
  if (!fitting?.properties) return data;
  const filled: Record<string, unknown> = {};
  for (const [key, inner] of Object.entries(fitting.properties)) {
    const value = data[key] ?? inner.default;
    if (value !== undefined) filled[key] = fillDefaults(value, inner, root);
  }
  return filled;
}

function alternatives(schema: JsonSchema, root: JsonSchema): JsonSchema[] {
  // The recipe itself has both keys and an `anyOf` of required ones; its keys are what counts.
  if (schema.properties || !schema.anyOf) return [schema];
  return schema.anyOf.flatMap((option) => alternatives(dereference(option, root), root));
}

function dereference(schema: JsonSchema, root: JsonSchema): JsonSchema {
  const name = schema.$ref?.replace('#/$defs/', '');
  const target = name === undefined ? undefined : root.$defs?.[name];
  return target ? dereference(target, root) : schema;
}

function isMap(data: unknown): data is Record<string, unknown> {
  return typeof data === 'object' && data !== null && !Array.isArray(data);
}
