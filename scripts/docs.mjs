// Writes the generated pages of docs/. Unit tests fail when a committed page is not what this would write.
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { cliDocs } from '../src/commands/cli-docs.ts';
import { enginesDocs } from '../src/engines/fields-docs.ts';
import { hostsDocs } from '../src/hosts/hosts-docs.ts';
import { recipeDocs } from '../src/recipe/recipe-docs.ts';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const pages = [
  ['docs/recipe.md', recipeDocs],
  ['docs/cli.md', cliDocs],
  ['docs/hosts.md', hostsDocs],
  ['docs/engines.md', enginesDocs],
];
for (const [file, generate] of pages) {
  // Some pages are written by hand around what is generated.
  const page = path.join(root, file);
  writeFileSync(page, generate(readFileSync(page, 'utf8')));
  console.log(`wrote ${file}`);
}
