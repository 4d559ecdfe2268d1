import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { writeFileAtomic } from '../base/atomic-file.ts';
import { DynamoError, systemCode } from '../base/errors.ts';
import { findEngine } from '../engines/find-engine.ts';
import { findCommand } from '../hosts/find-command.ts';
import { renderTemplate, type TemplateValues } from '../init/render-template.ts';
import { readTemplate, TEMPLATES } from '../init/templates.ts';
import type { InitFlags } from './init-choice.ts';
import { type InitChoice, lookAround, proposeInit } from './init-choice.ts';
import { askInit } from './init-questions.ts';
import { loadCheckedRecipe } from './plan-recipe.ts';
import { renderTable } from './table.ts';

/** `dynamo init`. Nothing is written unless everything can be: the recipe is checked first, and no file is overwritten unasked. */
export async function runInit(templateName: string | undefined, flags: InitFlags): Promise<void> {
  if (flags.list) {
    printTemplates(flags.json === true);
    return;
  }
  const machine = await lookAround();
  const wished = proposeInit(templateName, flags, machine);
  const choice = isInteractive(flags)
    ? await askInit(templateName, wished, (name) => proposeInit(name, flags, machine))
    : wished;
  const output = path.resolve(flags.output ?? `${choice.template.name}.yaml`);
  const files = render(choice, output);
  if (!flags.force) refuseExisting(files.map(({ file }) => file));
  await check(files);
  for (const { file, text } of files) write(file, text);
  if (flags.json) {
    const { model, engine, gpus, port } = choice;
    const written = files.map(({ file }) => file);
    process.stdout.write(
      `${JSON.stringify({ schemaVersion: 1, template: choice.template.name, files: written, model, engine, gpus, port })}\n`,
    );
    return;
  }
  for (const { file } of files) process.stdout.write(`wrote ${shown(file)}\n`);
  process.stdout.write(
    `${nextSteps(
      choice,
      files.map(({ file }) => shown(file)),
    ).join('\n')}\n`,
  );
}

function printTemplates(json: boolean): void {
  if (json) {
    const templates = TEMPLATES.map(({ name, summary, engines }) => ({ name, summary, engines }));
    process.stdout.write(`${JSON.stringify({ schemaVersion: 1, templates }, null, 2)}\n`);
    return;
  }
  const rows = TEMPLATES.map(({ name, summary, engines }) => [name, engines.join(','), summary]);
  process.stdout.write(`${renderTable(['TEMPLATE', 'ENGINES', 'WHAT IT IS'], rows).join('\n')}\n`);
}

/** Any option that answers a question means that no question is wanted. */
function isInteractive(flags: InitFlags): boolean {
  const answered = [flags.model, flags.engine, flags.gpus, flags.port, flags.json].some((flag) => flag !== undefined);
  return !answered && process.stdin.isTTY === true && process.stdout.isTTY === true;
}

interface OutputFile {
  file: string;
  text: string;
}

/** The recipe first. Other files of a template lie beside it. */
function render(choice: InitChoice, output: string): OutputFile[] {
  const folder = path.dirname(output);
  const hosts = path.join(folder, 'hosts.yaml');
  const values: TemplateValues = {
    ...choice,
    name: deploymentName(output),
    file: shown(output),
    hostsFile: shown(hosts),
  };
  const files = readTemplate(choice.template.name).map(({ name, text }) => ({
    file: name === 'recipe.yaml' ? output : path.join(folder, name),
    text: renderTemplate(text, values),
  }));
  return files.sort((a, b) => Number(b.file === output) - Number(a.file === output));
}

/** The file's name without its ending, as far as it can name a deployment. */
function deploymentName(file: string): string {
  const bare = path.basename(file).replace(/\.ya?ml$/, '');
  const name = bare
    .replace(/[^a-zA-Z0-9._-]+/g, '-')
    .replace(/^[^a-zA-Z0-9]+/, '')
    .slice(0, 63);
  return name === '' ? 'my-deployment' : name;
}

function refuseExisting(files: readonly string[]): void {
  const there = files.filter((file) => existsSync(file));
  if (there.length === 0) return;
  throw new DynamoError(
    'USAGE',
    `${there.map(shown).join(' and ')} ${there.length === 1 ? 'exists' : 'exist'} already`,
    {
      hint: 'Choose another --output, or pass --force to overwrite.',
    },
  );
}

/** The same checks as `dynamo recipe validate`, on a copy: what does not load is not written. */
async function check(files: readonly OutputFile[]): Promise<void> {
  const cwd = mkdtempSync(path.join(os.tmpdir(), 'dynamo-init-'));
  try {
    for (const { file, text } of files) writeFileSync(path.join(cwd, path.basename(file)), text);
    await loadCheckedRecipe(path.basename(files[0]!.file), { env: process.env, cwd });
  } finally {
    rmSync(cwd, { recursive: true, force: true });
  }
}

function write(file: string, text: string): void {
  try {
    writeFileAtomic(file, text, { mode: 0o644 });
  } catch (error) {
    if (error instanceof DynamoError && error.code === 'DISK_FULL') throw error;
    const why = error instanceof DynamoError ? systemCode(error.cause) : systemCode(error);
    if (why === undefined) throw error;
    throw new DynamoError('USAGE', `cannot write ${shown(file)}: ${why}`, {
      hint: 'Choose another folder with --output.',
      cause: error,
    });
  }
}

function nextSteps({ template, engine }: InitChoice, files: readonly string[]): string[] {
  const [recipe, hosts] = files;
  const lines = ['', 'Next:'];
  if (hosts !== undefined) lines.push(`  put your machines into ${hosts}`, `  dynamo hosts check --hosts ${hosts}`);
  lines.push(`  dynamo plan ${recipe}`, `  dynamo serve ${recipe}`);
  const { command } = findEngine(engine);
  if (hosts === undefined && command !== null && findCommand(command.name) === undefined)
    lines.push('', `${command.name} is not installed here. ${command.installHint}`);
  if (template.name === 'mock')
    lines.push('', 'To start it with the machine: templates/systemd/dynamo@.service says how.');
  return lines;
}

/** As the user would type it. */
function shown(file: string): string {
  const relative = path.relative(process.cwd(), file);
  return relative.startsWith('..') || path.isAbsolute(relative) ? file : relative;
}
