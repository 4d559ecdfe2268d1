import { readFileSync } from 'node:fs';
import { sleep } from '../base/abort.ts';
import { holderOf, type PortHolder, socketsOf } from '../hosts/port-holder.ts';
import { userName } from '../hosts/process-facts.ts';
import { type ListeningSocket, listenersAt, listeningSockets } from '../hosts/tcp-sockets.ts';
import { isGone, type ProcessIdentity, processesOfRun, processesOfSession } from './identity.ts';

/** Somebody else who listens where a process of ours should. */
export interface Stranger {
  port: number;
  user: string;
  /** Undefined: the process is not to be seen from here, as those of other users are not. */
  holder: PortHolder | undefined;
}

/** What is known of a process of a run. */
export interface RunMember {
  /** Short name of its program. */
  program: string;
  /** Inodes of its sockets; undefined where they cannot be read. */
  sockets: ReadonlySet<string> | undefined;
}

/** Programs that have an engine run by somebody else: whoever listens then is no child of ours. */
const HAND_OVER = new Set([
  'docker',
  'podman',
  'nerdctl',
  'kubectl',
  'srun',
  'ssh',
  'sudo',
  'su',
  'systemd-run',
  'flatpak-spawn',
]);

/** A socket may be closed and opened anew between two looks; a stranger stays. */
const LOOK_AGAIN_MS = 100;

/**
 * Listening sockets that nobody of the run has open. Empty when that cannot be told: one of its processes hides its descriptors, or
 * it has the engine run by a container or batch system. Pure.
 */
export function strangeSockets(
  listening: readonly ListeningSocket[],
  members: readonly RunMember[],
): readonly ListeningSocket[] {
  const strange = listening.filter(({ inode }) => !members.some(({ sockets }) => sockets?.has(inode)));
  if (strange.length === 0) return [];
  const isHidden = members.length === 0 || members.some(({ sockets }) => sockets === undefined);
  return isHidden || members.some(({ program }) => HAND_OVER.has(program)) ? [] : strange;
}

/**
 * Who else listens at `host`, on one of the ports, than the processes of a run. Undefined where nobody does, and where the system
 * does not say. An answer on a port proves nothing otherwise: a server of the same model looks the same.
 */
export async function findStranger(
  run: ProcessIdentity,
  host: string,
  ports: readonly number[],
  signal: AbortSignal,
): Promise<Stranger | undefined> {
  const before = look(run, host, ports);
  if (before.length === 0) return undefined;
  await sleep(LOOK_AGAIN_MS, signal);
  const after = look(run, host, ports).filter(({ inode }) => before.some((socket) => socket.inode === inode));
  const found = after[0];
  return found && { port: found.port, user: userName(found.uid), holder: holderOf([found]) };
}

/** `pid 4711 (python3 -m http.server 8100; user alice)`. */
export function describeStranger({ holder, user }: Pick<Stranger, 'holder' | 'user'>): string {
  return holder
    ? `pid ${holder.pid} (${holder.command}; user ${user})`
    : `a process of user ${user}, not to be seen from here`;
}

function look(run: ProcessIdentity, host: string, ports: readonly number[]): readonly ListeningSocket[] {
  const sockets = listeningSockets();
  const listening = ports.flatMap((port) => listenersAt(sockets, host, port));
  if (listening.length === 0) return [];
  // Those of its session that cannot be read are among them: they may be the ones that listen.
  const pids = new Set([...processesOfRun(run.runId), ...processesOfSession(run)]);
  const members = [...pids].flatMap((pid) => {
    const member = { program: programOf(pid), sockets: socketsOf(pid) };
    // One that has ended since hides nothing: shells come and go while an engine starts.
    return member.sockets === undefined && isGone(pid) ? [] : [member];
  });
  return strangeSockets(listening, members);
}

function programOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return '';
  }
}
