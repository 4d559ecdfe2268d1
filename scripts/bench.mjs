// Speed and memory of this checkout: `npm run bench`, `npm run bench -- frontend scheduler`, `--json file`, `--quick`, `--list`.
// Each scenario is a file of test/bench; figures are printed as ratios against something measured in the same run.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const folder = path.join(root, 'test', 'bench');
const names = readdirSync(folder)
  .filter((file) => file.endsWith('.ts'))
  .map((file) => path.basename(file, '.ts'));

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { json: { type: 'string' }, quick: { type: 'boolean', default: false }, list: { type: 'boolean' } },
  });
  const unknown = positionals.filter((name) => !names.includes(name));
  if (unknown.length > 0) throw new Error(`no scenario ${unknown.join(', ')}; there are ${names.join(', ')}`);
  if (values.list) return console.log(names.join('\n'));

  if (spawnSync(process.execPath, [path.join(root, 'scripts/build.mjs'), '--quiet'], { stdio: 'inherit' }).status !== 0)
    throw new Error('the build failed');
  const chosen = positionals.length > 0 ? positionals : names;
  const machine = {
    cores: os.availableParallelism(),
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    cpu: os.cpus()[0]?.model,
    node: process.version,
  };
  console.log(
    `${machine.cores} cores of ${machine.cpu}, ${machine.memoryGiB} GiB, Node ${machine.node}${values.quick ? ' · quick: not to be quoted' : ''}`,
  );
  const reports = [];
  for (const name of chosen) reports.push(await runScenario(name, values.quick));
  if (values.json)
    writeFileSync(
      values.json,
      `${JSON.stringify({ at: new Date().toISOString(), machine, quick: values.quick, scenarios: reports }, null, 2)}\n`,
    );
  if (reports.some((report) => report.error)) process.exitCode = 1;
}

async function runScenario(name, quick) {
  const { scenario } = await import(pathToFileURL(path.join(folder, `${name}.ts`)).href);
  console.log(`\n${scenario.title}`);
  const own = mkdtempSync(path.join(os.tmpdir(), `dynamo-bench-${name}-`));
  const say = (text) => process.stderr.write(`  … ${text}\n`);
  try {
    const report = await scenario.run({ root, folder: own, say, quick });
    if ('skipped' in report) console.log(`  SKIPPED: ${report.skipped}`);
    else print(report);
    return { name, ...report };
  } catch (error) {
    console.log(`  FAILED: ${error instanceof Error ? error.message : error}`);
    return { name, error: String(error) };
  } finally {
    rmSync(own, { recursive: true, force: true });
  }
}

function print({ figures, notes }) {
  const rows = figures.map((figure) => [
    figure.what,
    format(figure.value),
    figure.unit,
    figure.ratio === undefined ? '' : `${figure.ratio.toFixed(2)} × ${figure.against}`,
  ]);
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column].length)));
  for (const [what, value, unit, ratio] of rows)
    console.log(
      `  ${what.padEnd(widths[0])}  ${value.padStart(widths[1])} ${unit.padEnd(widths[2])}  ${ratio}`.trimEnd(),
    );
  for (const note of notes) console.log(`  · ${note}`);
}

function format(value) {
  const digits = Math.abs(value) >= 1_000 ? 0 : Math.abs(value) >= 10 ? 1 : 3;
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

await main();
