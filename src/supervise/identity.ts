import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { DynamoError, systemCode } from '../base/errors.ts';

/**
 * Names one process beyond doubt: pids are reused, start times are not within a boot, boots differ, and two pid namespaces
 * have pids of their own. Read again right before any signal.
 */
export interface ProcessIdentity {
  bootId: string;
  /** Target of /proc/self/ns/pid, `pid:[4026531836]`. */
  pidNamespace: string;
  pid: number;
  /** Clock ticks since boot, field 22 of /proc/PID/stat; text, because it is compared and never computed with. */
  startTime: string;
  /** Value of `DYNAMO_RUN_ID` in the environment of the process and all it started. */
  runId: string;
}

interface ProcessStat {
  state: string;
  parent: number;
  group: number;
  session: number;
  startTime: string;
  /** It is on its way out: what it held (memory of a GPU) may take a while to be free. */
  exiting: boolean;
  /** A thread of the kernel's. */
  kernel: boolean;
}

/** `PF_EXITING` and `PF_KTHREAD` in the flags of /proc/PID/stat, include/linux/sched.h. */
const EXITING_FLAG = 0x4;
const KERNEL_FLAG = 0x200000;

/** Boot id and pid namespace of this process's world. Throws where there is no /proc (dynamo supervises on Linux only). */
export function ownWorld(): { bootId: string; pidNamespace: string } {
  try {
    return {
      bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
      pidNamespace: readlinkSync('/proc/self/ns/pid'),
    };
  } catch (error) {
    throw new DynamoError('HOST_UNREACHABLE', 'cannot read /proc: dynamo supervises processes on Linux only', {
      cause: error,
      hint: 'Run dynamo on a Linux machine.',
    });
  }
}

export function ownIdentity(runId: string): ProcessIdentity {
  return { ...ownWorld(), pid: process.pid, startTime: readStat(process.pid)?.startTime ?? '', runId };
}

/** What the kernel says of a pid; `undefined` when there is no such process. */
export function readStat(pid: number): ProcessStat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ESRCH') return undefined;
    throw error;
  }
  // The command name may hold blanks and brackets; everything after the last ") " is plain.
  const fields = text.slice(text.lastIndexOf(') ') + 2).split(' ');
  return {
    state: fields[0]!,
    parent: Number(fields[1]),
    group: Number(fields[2]),
    session: Number(fields[3]),
    startTime: fields[19]!,
    exiting: (Number(fields[6]) & EXITING_FLAG) !== 0,
    kernel: (Number(fields[6]) & KERNEL_FLAG) !== 0,
  };
}

/** Whether exactly that process runs now. Zombies count as dead; another boot or namespace means dead. */
export function isAlive(identity: ProcessIdentity): boolean {
  const world = ownWorld();
  if (identity.bootId !== world.bootId || identity.pidNamespace !== world.pidNamespace) return false;
  const stat = readStat(identity.pid);
  return stat !== undefined && stat.startTime === identity.startTime && !isDead(stat);
}

/** Whether nothing of that pid is left, or it is on its way out. */
export function isGone(pid: number): boolean {
  const stat = readStat(pid);
  return stat === undefined || isDead(stat) || stat.exiting;
}

/** Signals that process alone, if it is still the same one. Returns whether it was. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isAlive(identity)) return false;
  return kill(identity.pid, signal);
}

/**
 * Signals every member of the group `identity` leads. The leader may be gone while members live on, so the group is
 * recognised by its members' run id or session.
 */
export function signalGroup(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (isAlive(identity)) return kill(-identity.pid, signal);
  const members = processesOfRun(identity.runId, identity).filter((pid) => readStat(pid)?.group === identity.pid);
  return members.length > 0 && kill(-identity.pid, signal);
}

function kill(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if (systemCode(error) === 'ESRCH') return false;
    throw error;
  }
}

/**
 * Pids of living processes whose environment carries `DYNAMO_RUN_ID=<runId>`: finds children that left their group. With the
 * leader of the run's session also those in it that carry no run id any more: vLLM's engine and worker processes write their
 * titles over their environment. `onLoading`: see `processesWithEnv`.
 */
export function processesOfRun(
  runId: string,
  leader?: Partial<ProcessIdentity>,
  onLoading?: (pid: number) => void,
): number[] {
  const byName = processesWithEnv('DYNAMO_RUN_ID', (value) => value === runId, onLoading);
  return leader?.pid === undefined ? byName : [...new Set([...byName, ...namelessOf(leader as ProcessIdentity)])];
}

/** Living processes without a run id in the session that `leader` began. */
const namelessOf = (leader: ProcessIdentity): number[] =>
  processesOfSession(leader).filter((pid) => readVariable(pid, 'DYNAMO_RUN_ID') === null);

/** Living processes of the session that `leader` began, whosever they are: a program may change its user. */
export function processesOfSession(leader: ProcessIdentity): number[] {
  const world = ownWorld();
  if (leader.bootId !== world.bootId || leader.pidNamespace !== world.pidNamespace) return [];
  // A pid is not given away while a session bears it; whoever has it now and is another began a session of its own.
  const now = readStat(leader.pid);
  if (now !== undefined && now.startTime !== leader.startTime) return [];
  return pids().filter((pid) => {
    const stat = readStat(pid);
    if (stat === undefined || stat.session !== leader.pid || isDead(stat)) return false;
    return BigInt(stat.startTime) >= BigInt(leader.startTime);
  });
}

/**
 * Living processes that carry a variable whose value passes. Processes of other users cannot be read and are skipped. `onLoading`:
 * called for each that is between two programs, so that nobody can tell.
 */
export function processesWithEnv(
  name: string,
  passes: (value: string) => boolean,
  onLoading: (pid: number) => void = () => {},
): number[] {
  return pids().filter((pid) => {
    const text = readEnvironment(pid);
    if (text === null) onLoading(pid);
    const value = text ? valueIn(text, name) : undefined;
    if (value === undefined || !passes(value)) return false;
    const stat = readStat(pid);
    return stat !== undefined && !isDead(stat);
  });
}

const isDead = ({ state }: ProcessStat): boolean => state === 'Z' || state === 'X';

const pids = (): number[] => readdirSync('/proc').map(Number).filter(Number.isInteger);

/** A variable of a process; null when it has none of that name, undefined when the process is gone or somebody else's. */
export function readVariable(pid: number, name: string): string | null | undefined {
  const text = readEnvironment(pid);
  return text === undefined ? undefined : (valueIn(text ?? '', name) ?? null);
}

function valueIn(environment: string, name: string): string | undefined {
  const prefix = `${name}=`;
  const line = environment.split('\0').find((entry) => entry.startsWith(prefix));
  return line?.slice(prefix.length);
}

/**
 * Environment of a process; undefined when it is gone or somebody else's. Null while it goes from one program to the next: the
 * kernel then shows neither arguments nor environment of it for a moment.
 */
function readEnvironment(pid: number): string | null | undefined {
  const read = (name: string) => readFileSync(`/proc/${pid}/${name}`, 'utf8');
  try {
    const text = read('environ');
    if (text !== '') return text;
    // It is there by now, or there is none.
    if (read('cmdline') !== '') return read('environ');
    const stat = readStat(pid);
    return stat === undefined || isDead(stat) || stat.exiting || stat.kernel ? '' : null;
  } catch {
    return undefined;
  }
}

/**
 * The run a process belongs to, by its own environment or that of the shim that leads its session; undefined for one that dynamo
 * did not start, or that cannot be looked into.
 */
export function runIdOf(pid: number): string | undefined {
  const own = readVariable(pid, 'DYNAMO_RUN_ID');
  if (own !== null) return own;
  const leader = readStat(pid)?.session;
  return (leader === undefined || leader === pid ? null : readVariable(leader, 'DYNAMO_RUN_ID')) ?? undefined;
}

/** Checks the shape of an identity read from a file. */
export function parseIdentity(value: unknown): ProcessIdentity | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { bootId, pidNamespace, pid, startTime, runId } = value as Record<string, unknown>;
  if (typeof bootId !== 'string' || typeof pidNamespace !== 'string' || typeof startTime !== 'string') return undefined;
  if (typeof pid !== 'number' || !Number.isInteger(pid) || pid <= 1 || typeof runId !== 'string') return undefined;
  return { bootId, pidNamespace, pid, startTime, runId };
}
