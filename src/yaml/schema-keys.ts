import type { z } from 'zod';

/** The keys the schema allows at a path, empty where any key is allowed or none can stand. */
export function keysAt(schema: z.core.$ZodType, path: readonly (string | number)[]): string[] {
  return [...new Set(objectsAt(schema, path).flatMap((object) => Object.keys(object._zod.def.shape)))];
}

/** Every place of the schema where a key is known, as patterns such as `workers.prefill`. */
export function placesOfKey(schema: z.core.$ZodType, key: string): string[] {
  const found: string[] = [];
  const visit = (node: z.core.$ZodType, path: string, depth: number): void => {
    if (depth > 6) return;
    for (const object of objectsAt(node, []))
      for (const [name, inner] of Object.entries(object._zod.def.shape)) {
        if (name === key) found.push(path);
        visit(inner, path === '' ? name : `${path}.${name}`, depth + 1);
      }
    const element = elementOf(node);
    if (element) visit(element, `${path}[]`, depth + 1);
  };
  visit(schema, '', 0);
  return [...new Set(found)];
}

function objectsAt(schema: z.core.$ZodType, path: readonly (string | number)[]): z.core.$ZodObject[] {
  const [head, ...rest] = path;
  return alternatives(schema).flatMap((option) => {
    if (head === undefined) return isObject(option) ? [option] : [];
    if (isObject(option)) {
      const inner = option._zod.def.shape[String(head)];
      return inner ? objectsAt(inner, rest) : [];
    }
    if (isRecord(option)) return objectsAt(option._zod.def.valueType, rest);
    const element = isArray(option) ? option._zod.def.element : undefined;
    return element && typeof head === 'number' ? objectsAt(element, rest) : [];
  });
}

function elementOf(schema: z.core.$ZodType): z.core.$ZodType | undefined {
  return alternatives(schema).find(isArray)?._zod.def.element;
}

/** Looks through `optional`, defaults, transforms and unions. */
function alternatives(schema: z.core.$ZodType): z.core.$ZodType[] {
  const def = schema._zod.def as z.core.$ZodTypeDef & {
    innerType?: z.core.$ZodType;
    in?: z.core.$ZodType;
    options?: z.core.$ZodType[];
  };
  if (def.innerType) return alternatives(def.innerType);
  if (def.in) return alternatives(def.in);
  if (def.options) return def.options.flatMap(alternatives);
  return [schema];
}

const isObject = (schema: z.core.$ZodType): schema is z.core.$ZodObject => schema._zod.def.type === 'object';
const isRecord = (schema: z.core.$ZodType): schema is z.core.$ZodRecord => schema._zod.def.type === 'record';
const isArray = (schema: z.core.$ZodType): schema is z.core.$ZodArray => schema._zod.def.type === 'array';
