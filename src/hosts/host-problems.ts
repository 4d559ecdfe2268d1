import { formatBytes } from '../base/bytes.ts';
import { formatDuration } from '../base/duration.ts';
import type { HostEntry } from './host-entry.ts';
import type { GpuUser, HostFacts } from './host-facts.ts';

/** Something about a host, or between hosts, that a person should mend. */
export interface HostProblem {
  /** With an error the host cannot be used; a warning is what may go wrong later. */
  severity: 'error' | 'warning';
  /** Hosts it is about. */
  hosts: string[];
  message: string;
  /** What to do about it. */
  hint: string;
}

interface Known {
  entry: HostEntry;
  facts: HostFacts;
}
type Rule = (host: Known) => Omit<HostProblem, 'hosts'>[];

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;
/** Kit, Node runtime and logs of a first day. */
const LEAST_HOME_BYTES = 500 * MIB;
const LEAST_TMP_BYTES = 100 * MIB;
const LEAST_SHM_BYTES = GIB;
const LEAST_LOCKED_BYTES = GIB;
/** Beyond this, times of logs and events of different hosts cannot be read side by side. */
const MOST_SKEW_MS = 1_000;
const LEAST_GLIBC = [2, 28] as const;

/** Everything worth mending on hosts that answered, those that forbid their use first. Pure. */
export function hostProblems(hosts: readonly Known[]): HostProblem[] {
  const own = hosts.flatMap((host) =>
    RULES.flatMap((rule) => rule(host).map((problem) => ({ ...problem, hosts: [host.facts.name] }))),
  );
  const all = [...own, ...sameMachine(hosts), ...differentVersions(hosts)];
  return all.toSorted((a, b) => Number(a.severity === 'warning') - Number(b.severity === 'warning'));
}

const platform: Rule = ({ facts }) => {
  if (facts.platform !== 'linux')
    return [error(`it runs ${facts.platform}; dynamo supervises processes on Linux only`, 'Use another host.')];
  const [major = 0, minor = 0] = (facts.glibc ?? '').split('.').map(Number);
  const old = facts.glibc && (major < LEAST_GLIBC[0] || (major === LEAST_GLIBC[0] && minor < LEAST_GLIBC[1]));
  const needs = `glibc ${LEAST_GLIBC.join('.')} or newer`;
  if (old) return [error(`its glibc is ${facts.glibc}; the kit needs ${needs}`, 'Use a newer system there.')];
  if (facts.glibc === null) return [error(`it has no glibc; the kit needs ${needs}`, 'Use another system there.')];
  if (facts.arch !== 'x64' && facts.arch !== 'arm64')
    return [error(`its processor is ${facts.arch}; the kit runs on x64 and arm64`, 'Use another host.')];
  return [];
};

const disk: Rule = ({ entry, facts }) => {
  const problems = [];
  const home = facts.home === undefined ? undefined : facts.freeDisk?.[facts.home];
  const elsewhere = entry.stateDir !== undefined && entry.kitDir !== undefined;
  if (home !== undefined && home < LEAST_HOME_BYTES && !elsewhere)
    problems.push(
      error(
        `its home folder ${facts.home} has ${formatBytes(home)} free; kit and logs need ${formatBytes(LEAST_HOME_BYTES)}`,
        'Free some space, or give `stateDir` and `kitDir` on another disk in the hosts file.',
      ),
    );
  const tmp = facts.freeDisk?.['/tmp'];
  if (tmp !== undefined && tmp < LEAST_TMP_BYTES)
    problems.push(warning(`/tmp has ${formatBytes(tmp)} free; engines write there`, 'Free some space.'));
  const shm = facts.freeDisk?.['/dev/shm'];
  if (shm !== undefined && shm < LEAST_SHM_BYTES && facts.gpus.length > 1)
    problems.push(
      warning(
        `/dev/shm has ${formatBytes(shm)} free; engines with several GPUs pass data through it`,
        'Raise its size (in a container: --shm-size).',
      ),
    );
  return problems;
};

const gpus: Rule = ({ entry, facts }) => {
  const problems = [];
  if (facts.gpuProblem)
    problems.push(error(facts.gpuProblem, 'Run nvidia-smi there; after a driver update the host needs a reboot.'));
  else {
    const missing = (entry.gpus ?? []).filter((index) => !facts.gpus.some((gpu) => gpu.index === index));
    if (missing.length > 0)
      problems.push(
        error(
          `the hosts file allows GPU ${missing.join(', ')}, and nvidia-smi lists no such`,
          'Correct `gpus` in the hosts file.',
        ),
      );
  }
  const strangers = strangersOf(facts);
  for (const user of strangers)
    problems.push(
      warning(
        `GPU ${user.gpu} is used by ${user.user ?? 'somebody'}: ${describeUser(user)}`,
        'Talk to them, or leave it out with `gpus` in the hosts file.',
      ),
    );
  return problems;
};

const networks: Rule = ({ entry, facts }) => {
  const problems = [];
  const known = [...(facts.nics ?? []).map((nic) => nic.name), ...(facts.rdma ?? []).map((port) => port.device)];
  const missing = (entry.nics ?? []).filter(
    (name) => !known.includes(name) && !facts.rdma?.some((port) => port.netdev === name),
  );
  if (facts.nics && missing.length > 0)
    problems.push(
      warning(
        `the hosts file allows ${missing.join(', ')}, which it does not have`,
        'Correct `nics` in the hosts file.',
      ),
    );
  const own = (facts.nics ?? []).flatMap((nic) => nic.addresses.map(({ address }) => address));
  if (entry.dataAddress !== undefined && entry.nics === undefined && own.length > 0 && !own.includes(entry.dataAddress))
    problems.push(
      error(
        `\`dataAddress\` is ${entry.dataAddress}, which none of its interfaces has; it has ${own.join(', ')}`,
        'Processes listen on that address: give one of its own.',
      ),
    );
  const initial = (facts.rdma ?? []).filter((port) => port.state === 'init' || port.state === 'armed');
  if (initial.length > 0)
    problems.push(
      warning(
        `${initial.map((port) => port.device).join(', ')}: the link is up but has no address yet (${initial[0]?.state})`,
        'A subnet manager (opensm) must run in an InfiniBand network.',
      ),
    );
  const locked = facts.limits?.lockedMemoryBytes;
  if (locked !== undefined && locked !== null && locked < LEAST_LOCKED_BYTES && (facts.rdma ?? []).length > 0)
    problems.push(
      warning(
        `processes may lock ${formatBytes(locked)} of memory only; KV transfer over RDMA registers the whole cache`,
        'Set memlock to unlimited in /etc/security/limits.conf and log in anew.',
      ),
    );
  return problems;
};

const clock: Rule = ({ facts }) => {
  const skew = facts.clockSkewMs ?? 0;
  if (Math.abs(skew) - (facts.clockUncertaintyMs ?? 0) <= MOST_SKEW_MS) return [];
  return [
    warning(
      `its clock is ${formatDuration(Math.abs(skew))} ${skew > 0 ? 'ahead' : 'behind'}: nothing depends on it, but times in its logs will not fit`,
      'Let chrony or systemd-timesyncd run there.',
    ),
  ];
};

const RULES: readonly Rule[] = [platform, disk, gpus, networks, clock];

/** Two entries that lead to one machine would each count its GPUs. */
function sameMachine(hosts: readonly Known[]): HostProblem[] {
  return groupBy(hosts, ({ facts }) => (facts.bootId === null ? undefined : `${facts.bootId} ${facts.hostname}`)).map(
    (group) => ({
      ...error(
        `${names(group).join(' and ')} are the same machine: one boot, one name (${group[0]!.facts.hostname})`,
        'Keep one of them in the hosts file.',
      ),
      hosts: names(group),
    }),
  );
}

/** Engines exchange KV blocks between hosts only at one version. */
function differentVersions(hosts: readonly Known[]): HostProblem[] {
  const programs = new Set(hosts.flatMap(({ facts }) => Object.keys(facts.engines ?? {})));
  return [...programs].flatMap((program) => {
    const found = hosts.flatMap(({ facts }) => {
      const version = facts.engines?.[program]?.version;
      return version ? [{ name: facts.name, version }] : [];
    });
    if (new Set(found.map(({ version }) => version)).size < 2) return [];
    const list = found.map(({ name, version }) => `${version} on ${name}`).join(', ');
    return [
      {
        ...warning(
          `${program} is ${list}`,
          'Prefill and decode workers need the same version: install one on all hosts.',
        ),
        hosts: found.map(({ name }) => name),
      },
    ];
  });
}

/** Processes on GPUs that may be used and that no deployment of this user started. */
export function strangersOf(facts: HostFacts): GpuUser[] {
  return (facts.gpuUsers ?? []).filter((user) => !user.ours && facts.gpus.some((gpu) => gpu.index === user.gpu));
}

function describeUser({ pid, command, memoryBytes }: GpuUser): string {
  return `pid ${pid}, ${command}${memoryBytes === null ? '' : `, ${formatBytes(memoryBytes)}`}`;
}

function groupBy(hosts: readonly Known[], key: (host: Known) => string | undefined): Known[][] {
  const groups = Map.groupBy(hosts, key);
  groups.delete(undefined);
  return [...groups.values()].filter((group) => group.length > 1);
}

const names = (group: readonly Known[]): string[] => group.map(({ facts }) => facts.name);
const error = (message: string, hint: string) => ({ severity: 'error' as const, message, hint });
const warning = (message: string, hint: string) => ({ severity: 'warning' as const, message, hint });
