import { formatBytes } from '../base/bytes.ts';
import { findEngine } from '../engines/find-engine.ts';
import type { HostFacts } from '../hosts/host-facts.ts';
import { type Finding, note, ok, problem, warning } from './finding.ts';

/** What the doctor reads of a machine before it judges. Pure data. */
export interface MachineFacts {
  facts: HostFacts;
  nodeVersion: string;
  /** `flock` of util-linux is there. */
  hasFlock: boolean;
  /** Folders that must be writable, and why one is not. */
  lockFolder: FolderFacts;
  stateFolder: FolderFacts;
  /** Null where the system has none. */
  sharedMemory: { totalBytes: number; freeBytes: number } | null;
  /** Version of UCX as `ucx_info` tells; null where that tool is missing, which says nothing of the UCX inside NIXL. */
  ucxVersion: string | null;
  /** A driver by which NICs read GPU memory is loaded. */
  hasPeerMemory: boolean;
}

export interface FolderFacts {
  path: string;
  error: string | null;
  freeBytes: number | null;
}

const GIB = 1024 ** 3;
const MIN_NODE = [22, 19] as const;
const MIN_OPEN_FILES = 65_536;
const MIN_FREE_BYTES = 1 * GIB;
/** NCCL and several tensor-parallel ranks share memory there; containers often have 64 MiB. */
const MIN_SHARED_MEMORY_BYTES = 8 * GIB;

/** What works on a machine, what does not, and how to mend it. */
export function judgeMachine(machine: MachineFacts): Finding[] {
  return [
    node(machine),
    system(machine),
    flock(machine),
    ...folders(machine),
    ...gpus(machine),
    ...engines(machine),
    ...rdma(machine),
    ...limits(machine),
    sharedMemory(machine),
  ];
}

function node({ nodeVersion }: MachineFacts): Finding {
  const [major = 0, minor = 0] = nodeVersion.replace(/^v/, '').split('.').map(Number);
  const enough = major > MIN_NODE[0] || (major === MIN_NODE[0] && minor >= MIN_NODE[1]);
  return enough
    ? ok('node', nodeVersion)
    : problem('node', `${nodeVersion} is too old`, `Install Node ${MIN_NODE.join('.')} or newer.`);
}

function system({ facts }: MachineFacts): Finding {
  return facts.platform === 'linux'
    ? ok('system', `linux ${facts.arch}, ${facts.cpus} CPUs, ${formatBytes(facts.memoryBytes)} memory`)
    : problem(
        'system',
        `${facts.platform}: processes can be supervised on Linux only`,
        'Use a Linux host; plan and bench work here too.',
      );
}

function flock({ hasFlock }: MachineFacts): Finding {
  return hasFlock
    ? ok('flock', 'kernel locks: a GPU is free exactly when its last holder is gone')
    : warning(
        'flock',
        'the tool is missing; lock files stand in, which a suspended machine may leave behind',
        'Install util-linux.',
      );
}

function folders({ lockFolder, stateFolder }: MachineFacts): Finding[] {
  const lock =
    lockFolder.error === null
      ? ok('lock folder', `${lockFolder.path} is writable`)
      : problem(
          'lock folder',
          `${lockFolder.path}: ${lockFolder.error}; no GPU can be reserved`,
          'Make it writable for all users of the machine, or name another parent with DYNAMO_LOCK_DIR (the same for everybody).',
        );
  if (stateFolder.error !== null)
    return [
      lock,
      problem(
        'state folder',
        `${stateFolder.path}: ${stateFolder.error}`,
        'Set DYNAMO_HOME to a folder that you can write.',
      ),
    ];
  const free = stateFolder.freeBytes;
  if (free !== null && free < MIN_FREE_BYTES)
    return [
      lock,
      warning(
        'state folder',
        `${stateFolder.path} has ${formatBytes(free)} free: logs will be cut short`,
        'Free some space, or set DYNAMO_HOME to a folder on another disk.',
      ),
    ];
  return [lock, ok('state folder', `${stateFolder.path}${free === null ? '' : `, ${formatBytes(free)} free`}`)];
}

function gpus({ facts }: MachineFacts): Finding[] {
  if (facts.gpuProblem)
    return [
      problem('GPUs', facts.gpuProblem, 'Load the driver (`nvidia-smi` must work), or mend what it complains of.'),
    ];
  if (facts.gpus.length === 0)
    return [note('GPUs', 'none found: the simulated engine and engines with `gpus: 0` run here')];
  const kinds = Map.groupBy(facts.gpus, ({ name }) => name);
  const list = [...kinds].map(([name, each]) => `${each.length} × ${name}`).join(', ');
  const findings = [ok('GPUs', `${list}${facts.driver ? `, driver ${facts.driver}` : ''}`)];
  const strangers = (facts.gpuUsers ?? []).filter(({ ours }) => !ours);
  if (strangers.length > 0)
    findings.push(
      warning(
        'GPU use',
        strangers
          .map(({ gpu, command, user, pid }) => `GPU ${gpu ?? '?'}: ${command} (${user ?? 'unknown user'}, pid ${pid})`)
          .join('; '),
        'Wait for these processes, or keep dynamo off their GPUs with `gpus:` of a hosts file.',
      ),
    );
  return findings;
}

const PROGRAMS = { vllm: 'vllm', sglang: 'sglang', trtllm: 'trtllm-serve', llamacpp: 'llama-server' } as const;

function engines({ facts, ucxVersion }: MachineFacts): Finding[] {
  const found = facts.engines ?? {};
  const findings = Object.entries(PROGRAMS).map(([name, program]) => {
    const installed = found[program];
    if (!installed)
      return note(name, 'not installed', findEngine(name as keyof typeof PROGRAMS).command?.installHint ?? null);
    const version = installed.version ?? 'version unknown';
    const nixl = installed.packages['nixl'] ?? installed.packages['nixl_cu13'] ?? installed.packages['nixl_cu12'];
    if (nixl === undefined && (name === 'vllm' || name === 'sglang'))
      return warning(
        name,
        `${version} at ${installed.path}, without nixl: prefill and decode cannot be separate workers`,
        'Install it into the same environment: `uv pip install nixl`.',
      );
    return ok(name, `${version} at ${installed.path}${nixl === undefined ? '' : `, nixl ${nixl}`}`);
  });
  if (ucxVersion !== null) findings.push(note('UCX', `${ucxVersion} on PATH; NIXL brings its own`));
  return findings;
}

function rdma({ facts, hasPeerMemory }: MachineFacts): Finding[] {
  const ports = facts.rdma ?? [];
  if (ports.length === 0)
    return [note('RDMA', 'no device: KV cache between hosts would travel by TCP; within this host nothing changes')];
  const active = ports.filter(({ state }) => state === 'active');
  if (active.length === 0)
    return [
      warning(
        'RDMA',
        `no active port: ${ports.map(({ device, port, state }) => `${device}:${port} ${state}`).join(', ')}`,
        'Check cables and, for InfiniBand, the subnet manager; `ibstat` tells more.',
      ),
    ];
  const list = active
    .map(
      ({ device, port, rateGbps, linkLayer }) =>
        `${device}:${port}${rateGbps === null ? '' : ` ${rateGbps} Gb/s`} ${linkLayer}`,
    )
    .join(', ');
  const findings = [ok('RDMA', list)];
  if (facts.gpus.length > 0 && !hasPeerMemory)
    findings.push(
      warning(
        'GPU RDMA',
        'no driver is loaded by which NICs read GPU memory: KV cache goes through host memory or TCP',
        'Load it: `modprobe nvidia-peermem` (or use a kernel and driver with DMA-BUF).',
      ),
    );
  return findings;
}

function limits({ facts }: MachineFacts): Finding[] {
  const { openFiles = null, lockedMemoryBytes = null } = facts.limits ?? {};
  const files =
    openFiles === null || openFiles >= MIN_OPEN_FILES
      ? ok('open files', openFiles === null ? 'unlimited' : String(openFiles))
      : warning(
          'open files',
          `limited to ${openFiles}: a frontend needs two for each running request`,
          `Raise it: \`ulimit -n ${MIN_OPEN_FILES}\`, or LimitNOFILE in the unit that starts dynamo.`,
        );
  if (lockedMemoryBytes === null) return [files, ok('locked memory', 'unlimited')];
  const text = `limited to ${formatBytes(lockedMemoryBytes)}`;
  const fix =
    'Raise it: `ulimit -l unlimited`, `* - memlock unlimited` in /etc/security/limits.conf, or LimitMEMLOCK=infinity.';
  // Only RDMA pins what it sends.
  return (facts.rdma ?? []).length > 0
    ? [files, warning('locked memory', `${text}: RDMA cannot register the KV cache`, fix)]
    : [files, note('locked memory', `${text}, which matters with RDMA only`)];
}

function sharedMemory({ sharedMemory: shm, facts }: MachineFacts): Finding {
  if (shm === null) return note('/dev/shm', 'not there');
  const text = `${formatBytes(shm.totalBytes)}, ${formatBytes(shm.freeBytes)} free`;
  if (shm.totalBytes >= MIN_SHARED_MEMORY_BYTES || facts.gpus.length < 2) return ok('/dev/shm', text);
  return warning(
    '/dev/shm',
    `${text}: little for engines with several GPUs`,
    'Start the container with `--shm-size 16g` or `--ipc host`, or remount it larger.',
  );
}
