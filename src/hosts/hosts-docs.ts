import { z } from 'zod';
import type { JsonSchema } from '../yaml/json-schema.ts';
import { keySection, schemaSections } from '../yaml/schema-docs.ts';
import { hostsFileSchema } from './hosts-schema.ts';

const BEGIN =
  '<!-- Generated from src/hosts/hosts-schema.ts by `npm run docs`. Do not edit up to the next such line. -->\n';
const END = '<!-- End of what is generated. -->';

/** The tables of docs/hosts.md. */
function keyTables(): string {
  const schema = z.toJSONSchema(hostsFileSchema, { io: 'input' }) as JsonSchema;
  const { sections, values } = schemaSections(schema);
  const defaults = '## Defaults\n\nThe same keys as of a host, but for `name`, `address` and `dataAddress`.\n';
  const own = sections.map((section) => (section.startsWith('## Defaults') ? defaults : section));
  const text = [keySection('The file', schema, schema), ...own, ...values].join('\n');
  return text.replaceAll(/^## /gm, '### ').trimEnd();
}

/** docs/hosts.md with its tables as the schema has them; the text around them is written by hand. */
export function hostsDocs(page: string): string {
  const from = page.indexOf(BEGIN);
  const to = page.indexOf(END);
  if (from < 0 || to < from) throw new Error('docs/hosts.md has lost the lines around its generated tables');
  return `${page.slice(0, from + BEGIN.length)}\n${keyTables()}\n\n${page.slice(to)}`;
}
