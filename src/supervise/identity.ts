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
  startTime: string;
}

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
  return { state: fields[0]!, parent: Number(fields[1]), group: Number(fields[2]), startTime: fields[19]! };
}

/** Whether exactly that process runs now. Zombies count as dead; another boot or namespace means dead. */
export function isAlive(identity: ProcessIdentity): boolean {
  const world = ownWorld();
  if (identity.bootId !== world.bootId || identity.pidNamespace !== world.pidNamespace) return false;
  const stat = readStat(identity.pid);
  return stat !== undefined && stat.startTime === identity.startTime && stat.state !== 'Z' && stat.state !== 'X';
}

/** Signals that process alone, if it is still the same one. Returns whether it was. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isAlive(identity)) return false;
  return kill(identity.pid, signal);
}

/**
 * Signals every member of the group `identity` leads. The leader may be gone while members live on, so the group is
 * recognised by its members' run id.
 */
export function signalGroup(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (isAlive(identity)) return kill(-identity.pid, signal);
  const members = processesOfRun(identity.runId).filter((pid) => readStat(pid)?.group === identity.pid);
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

/** Pids of living processes whose environment carries `DYNAMO_RUN_ID=<runId>`: finds children that left their group. */
export function processesOfRun(runId: string): number[] {
  return processesWithEnv('DYNAMO_RUN_ID', (value) => value === runId);
}

/** Living processes that carry a variable whose value passes. Processes of other users cannot be read and are skipped. */
export function processesWithEnv(name: string, passes: (value: string) => boolean): number[] {
  const prefix = `${name}=`;
  const found: number[] = [];
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    let environment: string;
    try {
      environment = readFileSync(`/proc/${pid}/environ`, 'utf8');
    } catch {
      continue;
    }
    const value = environment.split('\0').find((line) => line.startsWith(prefix));
    if (value === undefined || !passes(value.slice(prefix.length))) continue;
    const state = readStat(pid)?.state;
    if (state !== undefined && state !== 'Z' && state !== 'X') found.push(pid);
  }
  return found;
}

/** Checks the shape of an identity read from a file. */
export function parseIdentity(value: unknown): ProcessIdentity | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { bootId, pidNamespace, pid, startTime, runId } = value as Record<string, unknown>;
  if (typeof bootId !== 'string' || typeof pidNamespace !== 'string' || typeof startTime !== 'string') return undefined;
  if (typeof pid !== 'number' || !Number.isInteger(pid) || pid <= 1 || typeof runId !== 'string') return undefined;
  return { bootId, pidNamespace, pid, startTime, runId };
}
