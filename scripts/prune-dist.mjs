// What old builds left in dist/: parts that no build has had for a week, and that no running process may still load.
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';

/** For processes that cannot be seen from here: in another container, or on another machine that shares the checkout. */
const KEPT_MS = 7 * 86_400_000;
/** Start times of processes follow the clock of the machine in steps. */
const UNCERTAIN_MS = 60_000;
/** Of the kernel's interface (USER_HZ), the same on every Linux. */
const TICKS_A_SECOND = 100;

/**
 * Removes them; returns how many. `current` names the files of the newest build, `previousMs` is when the one before began. The
 * time of a file is that of the last build that had it, as builds write over what is there. `startTimes` gives when the processes that
 * run this dist were started, undefined where that cannot be known: nothing is removed then.
 */
export function pruneDist(dist, current, previousMs, { nowMs = Date.now(), startTimes = startTimesOf(dist) } = {}) {
  if (startTimes === undefined || !(previousMs > 0)) return 0;
  // Whoever was started before the previous build may need parts of any build.
  if (startTimes.some((startMs) => startMs < previousMs + UNCERTAIN_MS)) return 0;
  const beforeMs = Math.min(previousMs, nowMs - KEPT_MS);
  const old = readdirSync(dist).filter((name) => {
    if (current.has(name) || !/\.js(\.map)?$/.test(name)) return false;
    const stat = statSync(path.join(dist, name), { throwIfNoEntry: false });
    return stat !== undefined && stat.mtimeMs < beforeMs;
  });
  for (const name of old) rmSync(path.join(dist, name), { force: true });
  return old.length;
}

/** Unix milliseconds; undefined where there is no /proc. */
function startTimesOf(dist) {
  const bootMs = bootTimeMs();
  if (bootMs === undefined) return undefined;
  const program = path.join(dist, 'cli.js');
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => read(`/proc/${pid}/cmdline`)?.split('\0').includes(program) && startTicks(pid))
    .filter((ticks) => typeof ticks === 'number')
    .map((ticks) => bootMs + (ticks / TICKS_A_SECOND) * 1_000);
}

function bootTimeMs() {
  const [, seconds] = /^btime (\d+)$/m.exec(read('/proc/stat') ?? '') ?? [];
  return seconds === undefined ? undefined : Number(seconds) * 1_000;
}

/** Field 22, counted behind the name, which may hold anything. */
function startTicks(pid) {
  const stat = read(`/proc/${pid}/stat`);
  return stat === undefined ? undefined : Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]);
}

/** Undefined where it is gone or not ours to read. */
function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

/** Folders of builds that were killed. */
export function pruneUnfinished(root, nowMs = Date.now()) {
  for (const name of readdirSync(root).filter((file) => file.startsWith('.dist-'))) {
    const stat = statSync(path.join(root, name), { throwIfNoEntry: false });
    if (stat !== undefined && stat.mtimeMs < nowMs - 86_400_000)
      rmSync(path.join(root, name), { recursive: true, force: true });
  }
}
