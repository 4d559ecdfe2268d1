import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pause } from '../base/abort.ts';
import { explainWriteError, readJsonFile } from '../base/atomic-file.ts';
import { DynamoError, systemCode } from '../base/errors.ts';
import { packageRoot } from '../base/package-root.ts';
import { until } from '../base/until.ts';
import { isAlive, ownWorld, type ProcessIdentity, parseIdentity, processesOfRun, signalGroup } from './identity.ts';

export interface ShimOptions {
  /** Folder of this incarnation; made here. */
  runDir: string;
  runId: string;
  argv: readonly string[];
  /** Whole environment of the engine. */
  env: NodeJS.ProcessEnv;
  cwd: string | null;
  logFile: string;
  /** Descriptors of locks the shim shall hold. */
  lockFds: readonly number[];
}

export interface ShimExit {
  /** Null when a signal ended it, or when nobody saw it end. */
  code: number | null;
  signal: string | null;
}

/** How often a process that is not our child is looked at. */
const WATCH_MS = 200;
const IDENTITY_DEADLINE_MS = 10_000;
/** How long a process may be between two programs before it is taken for one that hides its environment. */
const LOADING_MS = 2_000;

/**
 * One incarnation of a supervised process, seen through its shim (`shim.sh` has the diagram): spawned by this agent, or adopted
 * from one that died.
 */
export class ShimProcess {
  readonly runDir: string;
  readonly runId: string;
  readonly identity: ProcessIdentity;
  /** Resolves when the shim is gone and what it left behind has been killed. Never rejects. */
  readonly exited: Promise<ShimExit>;
  readonly #child: ChildProcess | undefined;

  private constructor(runDir: string, identity: ProcessIdentity, ended: Promise<ShimExit>, child?: ChildProcess) {
    this.runDir = runDir;
    this.runId = identity.runId;
    this.identity = identity;
    this.#child = child;
    this.exited = ended.then(async (exit) => {
      await killRun(identity, 2_000);
      return exit;
    });
  }

  /**
   * Starts a shim and waits until its identity is on disk; the engine does not exist before `launch`.
   * Throws `EXITED_EARLY` if the shim dies first, `DISK_FULL` when the folder cannot be written.
   */
  static async prepare(options: ShimOptions): Promise<ShimProcess> {
    let log: number;
    try {
      mkdirSync(options.runDir, { recursive: true, mode: 0o700 });
      log = openSync(options.logFile, 'a', 0o600);
    } catch (error) {
      throw explainWriteError(error, options.runDir);
    }
    const world = ownWorld();
    const shim = shimFile();
    const child = spawn(
      '/bin/sh',
      [shim, options.runDir, world.bootId, world.pidNamespace, options.runId, ...options.argv],
      {
        detached: true, // setsid: a session of its own
        stdio: ['pipe', log, log, ...options.lockFds],
        env: options.env,
        cwd: options.cwd ?? process.cwd(),
      },
    );
    closeSync(log);
    let refused: NodeJS.ErrnoException | undefined;
    child.once('error', (error) => {
      refused = error;
    });
    const ended = exitOfChild(child, options.runDir);
    child.stdin?.on('error', () => {}); // the shim died before `go`; `ended` says so
    let gone = false;
    ended.then(() => {
      gone = true;
    });
    const identity = await until(() => readIdentity(options.runDir) ?? (gone ? null : undefined), {
      deadlineMs: IDENTITY_DEADLINE_MS,
      intervalMs: 2,
      maxIntervalMs: 20,
    });
    if (refused) {
      const where = options.cwd === null ? '' : ` in ${options.cwd}`;
      throw new DynamoError('EXITED_EARLY', `the process could not be started${where}: ${systemCode(refused)}`, {
        hint: 'Does the folder exist, and may you enter it? Are arguments and environment within the limits of the system?',
        cause: refused,
      });
    }
    if (!identity) {
      child.kill('SIGKILL');
      throw new DynamoError(
        'EXITED_EARLY',
        `the supervisor's shim ended before it wrote its identity to ${options.runDir}`,
        {
          hint: 'Is the disk full, or the state folder on a file system that forbids writing?',
        },
      );
    }
    return new ShimProcess(options.runDir, identity, ended, child);
  }

  /** Finds a shim that an earlier agent started; `undefined` when it is gone. */
  static adopt(runDir: string, signal: AbortSignal): ShimProcess | undefined {
    const identity = readIdentity(runDir);
    if (!identity || !isAlive(identity)) return undefined;
    return new ShimProcess(runDir, identity, exitOfStranger(runDir, identity, signal));
  }

  /** The exit a shim recorded; `undefined` when it never came to that. */
  static exitOf(runDir: string): ShimExit | undefined {
    return readExit(runDir);
  }

  /** Lets the engine start. A shim adopted from an earlier agent either has been launched or is gone. */
  launch(): void {
    this.#child?.stdin?.end('go\n');
  }

  /** Whether `go` was ever received. */
  get launched(): boolean {
    return existsSync(path.join(this.runDir, 'launched'));
  }

  /** Pid of the engine itself, once it exists. */
  get enginePid(): number | null {
    return parseIdentity(readJsonFile(path.join(this.runDir, 'engine.json')))?.pid ?? null;
  }

  get alive(): boolean {
    return isAlive(this.identity);
  }

  /** SIGTERM to the group, SIGKILL at `killAfterMs`, and whatever left the group is swept. Resolves when all of it is gone. */
  async terminate(killAfterMs: number): Promise<ShimExit> {
    if (!this.launched) {
      // Before `go` there is nothing to be gentle with.
      this.#child?.stdin?.destroy();
      signalGroup(this.identity, 'SIGKILL');
      return this.exited;
    }
    signalGroup(this.identity, 'SIGTERM');
    const grace = new AbortController();
    const exit = await Promise.race([this.exited, pause(killAfterMs, grace.signal)]);
    grace.abort();
    if (exit) return exit;
    signalGroup(this.identity, 'SIGKILL');
    return this.exited;
  }

  kill(): void {
    signalGroup(this.identity, 'SIGKILL');
  }
}

function readIdentity(runDir: string): ProcessIdentity | undefined {
  return parseIdentity(readJsonFile(path.join(runDir, 'identity.json')));
}

function readExit(runDir: string): ShimExit | undefined {
  try {
    return decodeStatus(Number(readFileSync(path.join(runDir, 'exit'), 'utf8')));
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** A shell reports death by signal n as 128 + n. */
export function decodeStatus(status: number): ShimExit {
  const name = Object.entries(os.constants.signals).find(([, number]) => number === status - 128)?.[0];
  return name ? { code: null, signal: name } : { code: status, signal: null };
}

async function exitOfChild(child: ChildProcess, runDir: string): Promise<ShimExit> {
  try {
    const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
    return readExit(runDir) ?? (signal === null ? decodeStatus(code ?? 0) : { code: null, signal });
  } catch {
    // `spawn` itself failed: no process
    return { code: null, signal: null };
  }
}

async function exitOfStranger(runDir: string, identity: ProcessIdentity, signal: AbortSignal): Promise<ShimExit> {
  while (!signal.aborted && isAlive(identity)) await pause(WATCH_MS, signal);
  if (signal.aborted) return new Promise(() => {}); // nobody waits any more
  return readExit(runDir) ?? { code: null, signal: null };
}

/**
 * Kills everything that carries a run id, and with the whole identity of its shim everything in its session, and waits until it
 * is gone.
 * Returns the pids that are left after `deadlineMs` (stuck in the kernel), normally none.
 */
export async function killRun(
  identity: Partial<ProcessIdentity> & Pick<ProcessIdentity, 'runId'>,
  deadlineMs: number,
): Promise<number[]> {
  let left: number[] = [];
  const loadedBy = performance.now() + Math.min(LOADING_MS, deadlineMs);
  await until(
    () => {
      let isClear = true;
      left = processesOfRun(identity.runId, identity, () => {
        isClear = false;
      });
      for (const pid of left) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch (error) {
          if (systemCode(error) !== 'ESRCH') throw error;
        }
      }
      if (left.length > 0) return undefined;
      // One that is just being loaded may be of the run.
      return isClear || performance.now() >= loadedBy ? true : undefined;
    },
    { deadlineMs, intervalMs: 5, maxIntervalMs: 50 },
  );
  return left;
}

function shimFile(): string {
  const built = path.join(packageRoot, 'dist', 'shim.sh');
  return existsSync(built) ? built : path.join(packageRoot, 'src', 'supervise', 'shim.sh');
}
