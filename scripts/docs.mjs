// Writes the generated pages of docs/. Unit tests fail when a committed page is not what this would write.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { cliDocs } from '../src/commands/cli-docs.ts';
import { recipeDocs } from '../src/recipe/recipe-docs.ts';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const pages = [
  ['docs/recipe.md', recipeDocs],
  ['docs/cli.md', cliDocs],
];
for (const [file, generate] of pages) {
  writeFileSync(path.join(root, file), generate());
  console.log(`wrote ${file}`);
}
