import type { JsonSchema } from './json-schema.ts';

/** The definitions of a schema as Markdown: a section with a table for each map, a line for each kind of value. */
export function schemaSections(schema: JsonSchema): { sections: string[]; values: string[] } {
  const defs = Object.entries(schema.$defs ?? {});
  const objects = defs.filter(([, def]) => propertiesOf(def));
  const values = defs.filter(([, def]) => !propertiesOf(def));
  return {
    sections: objects.map(([name, def]) => keySection(name, def, schema)),
    values: values.map(([name, def]) => `<a id="${name.toLowerCase()}"></a>**${name}**: ${def.description ?? ''}\n`),
  };
}

/** A heading and a table of the keys of one map. `root` holds the definitions it refers to. */
export function keySection(name: string, def: JsonSchema, root: JsonSchema): string {
  const rows = Object.entries(propertiesOf(def) ?? {}).map(
    ([key, property]) =>
      `| \`${key}\` | ${typeOf(property)} | ${defaultOf(property)} | ${cell(meaningOf(property, root))} |`,
  );
  return [
    `## ${name}`,
    '',
    def.description ?? '',
    '',
    '| Key | Type | Default | Meaning |',
    '|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}

function meaningOf(property: JsonSchema, root: JsonSchema): string {
  const target = property.$ref === undefined ? undefined : root.$defs?.[property.$ref.replace('#/$defs/', '')];
  return property.description ?? target?.description ?? '';
}

/** Keys of a map; of a union with one map, those of that map. */
function propertiesOf(def: JsonSchema): Record<string, JsonSchema> | undefined {
  if (def.properties) return def.properties;
  const maps = def.anyOf?.filter((option) => option.properties) ?? [];
  return maps.length === 1 ? maps[0]?.properties : undefined;
}

function typeOf(schema: JsonSchema): string {
  const name = schema.$ref?.replace('#/$defs/', '');
  if (name !== undefined) return `[${name}](#${name.toLowerCase()})`;
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(' or ');
  if (schema.enum) return schema.enum.map((value) => `\`${value}\``).join(', ');
  if (schema.const !== undefined) return `\`${schema.const}\``;
  if (schema.type === 'array') return `list of ${typeOf(schema.items ?? {})}`;
  if (schema.type === 'integer') return `whole number${range(schema)}`;
  if (schema.type === 'number') return `number${range(schema)}`;
  if (schema.type === 'boolean') return '`true`, `false`';
  return schema.type === 'string' ? 'text' : String(schema.type ?? 'anything');
}

function range({ minimum, maximum }: JsonSchema): string {
  // zod writes the bounds of safe integers where a schema names none.
  const low = minimum !== undefined && Number.isSafeInteger(minimum - 1) ? minimum : undefined;
  const high = maximum !== undefined && Number.isSafeInteger(maximum + 1) ? maximum : undefined;
  if (low !== undefined && high !== undefined) return low === high ? ` ${low}` : ` ${low}–${high}`;
  return low === undefined ? '' : ` ≥ ${low}`;
}

function defaultOf({ default: value }: JsonSchema): string {
  if (value === undefined || JSON.stringify(value) === '{}') return '';
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
