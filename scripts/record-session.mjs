// Records docs/session.svg and the screen in README.md from a real run of the product in a terminal. Needs tmux.
//   npm run docs:record
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { drawSvg, readLine } from './screen-svg.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const COLUMNS = 80;
const ROWS = 26;
const SAMPLE_MS = 250;
/** A frame that stayed longer than this is not waited for. */
const LONGEST_MS = 1_500;
const DEADLINE_MS = 90_000;

const home = mkdtempSync(path.join(os.tmpdir(), 'dynamo-record-'));
mkdirSync(path.join(home, 'bin'));
symlinkSync(path.join(root, 'bin', 'dynamo'), path.join(home, 'bin', 'dynamo'));
const env = {
  ...process.env,
  HOME: home,
  DYNAMO_HOME: path.join(home, 'state'),
  DYNAMO_LOCK_DIR: home,
  PATH: `${path.join(home, 'bin')}:${process.env.PATH}`,
  LC_ALL: 'C.UTF-8',
  TERM: 'tmux-256color',
};
delete env.NO_COLOR;

// A network of its own keeps the ports of the picture free, where that is permitted.
const apart = ['unshare', '--net', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh'];
const canPart = spawnSync(apart[0], [...apart.slice(1), 'true']).status === 0;
const server = `dynamo-record-${process.pid}`;
const tmux = (...args) => execFileSync('tmux', ['-L', server, ...args], { encoding: 'utf8', env });
const inNetwork = (pid, ...command) =>
  canPart ? ['nsenter', ['--net', '--target', String(pid), ...command]] : [command[0], command.slice(1)];

/** A line without its colours. */
const plain = (line) =>
  readLine(line)
    .map(({ text }) => text)
    .join('');

const frames = [];
let stillIndex = 0;

function capture() {
  const screen = tmux('capture-pane', '-e', '-p', '-t', 'it').replaceAll(root, '~/dynamo');
  const lines = screen
    .split('\n')
    .slice(0, ROWS)
    .map((line) => line.trimEnd());
  const last = frames.at(-1);
  if (last && last.lines.join('\n') === lines.join('\n')) last.ms = Math.min(LONGEST_MS, last.ms + SAMPLE_MS);
  else frames.push({ ms: SAMPLE_MS, lines });
  return lines.map(plain).join('\n');
}

async function until(what, fits) {
  for (const began = Date.now(); Date.now() - began < DEADLINE_MS; ) {
    const text = capture();
    if (fits(text)) return text;
    await sleep(SAMPLE_MS);
  }
  throw new Error(`not within ${DEADLINE_MS / 1_000} s: ${what}\n${capture()}`);
}

let load;
try {
  const shell = ['bash', '--norc', '--noprofile', '-i'];
  tmux(
    '-f',
    '/dev/null',
    'new-session',
    '-d',
    '-s',
    'it',
    '-c',
    home,
    '-x',
    String(COLUMNS),
    '-y',
    String(ROWS),
    ...(canPart ? [...apart, ...shell] : shell),
  );
  tmux('send-keys', '-t', 'it', "PS1='$ '; clear", 'Enter');
  await until('a prompt', (text) => text.trim() === '$');
  frames.length = 0;
  for (const letter of 'dynamo serve quickstart') {
    tmux('send-keys', '-t', 'it', '-l', letter);
    capture();
  }
  tmux('send-keys', '-t', 'it', 'Enter');
  await until('the deployment to be ready', (text) => /READY/.test(text));
  const pid = tmux('display-message', '-p', '-t', 'it', '#{pane_pid}').trim();
  const bench = [
    'dynamo',
    'bench',
    'quickstart',
    '--concurrency',
    '8',
    '--benchmark-duration',
    '12',
    '--isl',
    '2048',
    '--osl',
    '200',
    '--json',
  ];
  const [program, args] = inNetwork(pid, ...bench);
  load = spawn(program, args, { env, stdio: 'ignore' });
  const ended = new Promise((resolve) => load.once('exit', resolve));
  await until('figures of the load', (text) => /requests\/s +\d*[1-9]/.test(text));
  const seen = Date.now();
  await until('some seconds of it', () => Date.now() - seen > 9_000);
  stillIndex = frames.length - 1;
  await ended;
  tmux('send-keys', '-t', 'it', 'C-c');
  await until('the end', (text) => /nothing is left/.test(text));
  frames.at(-1).ms = 2 * LONGEST_MS;
} finally {
  load?.kill();
  spawnSync('tmux', ['-L', server, 'kill-server']);
  spawnSync(path.join(root, 'bin', 'dynamo'), ['stop', 'quickstart', '--force'], { env, stdio: 'ignore' });
  rmSync(home, { recursive: true, force: true });
}

// Typing goes by quickly; a moving screen is shown a few times a second only.
const kept = frames.filter(
  (frame, index) => index === stillIndex || frame.ms > SAMPLE_MS || index % 3 === 0 || index > frames.length - 3,
);
const still = kept.indexOf(frames[stillIndex]);
const title = 'dynamo serve quickstart: a start, some load, and a stop';
writeFileSync(path.join(root, 'docs', 'session.svg'), drawSvg(kept, { columns: COLUMNS, rows: ROWS, still, title }));

const screen = frames[stillIndex].lines
  .map((line) => plain(line).trimEnd())
  .join('\n')
  .trimEnd();
const readme = path.join(root, 'README.md');
const marks = /(<!-- session: npm run docs:record -->\n```text\n)[\s\S]*?(```\n<!-- \/session -->)/;
writeFileSync(
  readme,
  readFileSync(readme, 'utf8').replace(marks, (_, before, after) => `${before}${screen}\n${after}`),
);
console.log(`wrote docs/session.svg (${kept.length} frames) and the screen in README.md`);
