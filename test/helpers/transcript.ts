import { spawn } from 'node:child_process';

/** One command of a document and what it says that is printed. */
export interface Step {
  command: string;
  /** Lines; `…` alone stands for any lines. */
  expected: string[];
}

/** The ```console blocks of a page: `$ ` begins a command, the lines up to the next are its output. Pure. */
export function readSteps(page: string): Step[] {
  const steps: Step[] = [];
  for (const [, block] of page.matchAll(/^```console\n([\s\S]*?)^```$/gm)) {
    let step: Step | undefined;
    for (const line of block!.trimEnd().split('\n')) {
      if (line.startsWith('$ ')) {
        step = { command: line.slice(2), expected: [] };
        steps.push(step);
      } else step?.expected.push(line);
    }
  }
  return steps;
}

export interface StepResult {
  status: number;
  lines: string[];
}

/** Runs all commands one after the other in one shell, so that `cd` and `export` hold. `wrap` is what the shell is started with. */
export async function runSteps(
  steps: readonly Step[],
  options: { cwd: string; env: NodeJS.ProcessEnv; wrap: readonly string[] },
): Promise<StepResult[]> {
  const mark = 'STEP-ENDED';
  // One pipe for both: from two, what came first could not be told.
  const script = ['exec 2>&1', ...steps.map(({ command }) => `${command}\nprintf '\\n${mark} %s\\n' "$?"`)].join('\n');
  const [program, ...args] = [...options.wrap, 'bash', '--norc', '-c', script];
  const child = spawn(program!, args, { cwd: options.cwd, env: options.env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  await new Promise((resolve) => child.once('close', resolve));
  const results = output.split(new RegExp(`\\n${mark} (\\d+)\\n`));
  return steps.map((_, index) => ({
    status: Number(results[index * 2 + 1] ?? -1),
    lines: (results[index * 2] ?? '').split('\n').filter((line, at, all) => line !== '' || at < all.length - 1),
  }));
}

/** What only a slow run says: `requests 57/100 · …`, and where the time of the start went. */
const isOfSlowRun = (line: string): boolean =>
  /^(?:(?:requests|warm-up) \d+\/(?:\d+|\?)(?: |$)|The start took |\S+ took .* to start: )/.test(line);

/** A line without what differs from run to run: numbers, times, hashes, pids, folders, the model's words. Pure. */
export function normalise(line: string): string {
  return line
    .replace(/\b\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replace(/\([0-9a-f]{12}\)/g, '(COMMIT)')
    .replace(/\b\d\d-\d\d \d\d:\d\d:\d\d\b/g, 'TIME')
    .replace(/^( {2}from {6})\/\S+$/, '$1FOLDER')
    .replace(/\/\S+\/(?=[\w.-]+\.yaml\b)/g, 'FOLDER/')
    .replace(/Linux [\w.-]+$/, 'Linux KERNEL')
    .replace(/"created":\d+/, '"created":N')
    .replace(/\b(?:\d+ h \d+ min|\d+ min \d+ s|\d+(?:\.\d+)? (?:ms|s))\b/g, 'N s')
    .replace(/\b\d+(?:\.\d+)? tok\/s\b/g, 'N tok/s')
    .replace(/ · (?:length limit reached · )?(prefill|decode)-\d → decode-\d/g, ' · WORKERS')
    .replace(/^((?:prefill|decode|frontend)\S* +\w+ +)\d+( +)/, '$1PID$2')
    .replace(/\s{2,}/g, '  ')
    .trimEnd();
}

/** Where expected and printed lines part; undefined when they fit. Pure. */
export function findDifference(expected: readonly string[], printed: readonly string[]): string | undefined {
  const lines = printed.filter((line) => !isOfSlowRun(line));
  let at = 0;
  let skips = false;
  for (const line of expected) {
    if (line === '…') {
      skips = true;
      continue;
    }
    const want = normalise(line);
    const found = lines.findIndex((candidate, index) => index >= at && normalise(candidate) === want);
    if (found < 0 || (!skips && found !== at)) return `expected: ${line}\nprinted:  ${lines[at] ?? '(nothing more)'}`;
    at = found + 1;
    skips = false;
  }
  return skips || at >= lines.length ? undefined : `printed, and not in the document: ${lines[at]}`;
}
