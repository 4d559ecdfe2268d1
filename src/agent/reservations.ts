import { accessSync, constants, mkdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { sleep } from '../base/abort.ts';
import { explainWriteError } from '../base/atomic-file.ts';
import { DynamoError, messageOf, systemCode } from '../base/errors.ts';
import { portHolder } from '../hosts/port-holder.ts';
import type { EnvValue, ProcessSpec } from '../plan/launch-plan.ts';
import { gpuLockFolder } from '../supervise/lock-folder.ts';
import { type FileLock, lockHolder, tryLock } from '../supervise/locks.ts';
import { recalledSecret, sentSecret } from './sent-secrets.ts';
import { tryBind } from './try-bind.ts';

const LOCK_TRIES = 4;
const LOCK_PAUSE_MS = 50;

/**
 * What a start takes hold of before anything is spawned. GPUs are host-wide kernel locks that the shims inherit;
 * ports cannot be locked, so they are tried; commands and secrets are looked up. All problems are reported at once.
 */
export class Reservations {
  readonly #deployment: string;
  readonly #gpuLocks = new Map<number, FileLock>();
  readonly #ownsGpu: (gpu: number) => boolean;
  readonly #signal: AbortSignal;

  /**
   * `ownsGpu`: whether a living process of this deployment, perhaps of an earlier agent, has the GPU: its shim holds the lock. `signal`
   * ends what waits, with its reason.
   */
  constructor(deployment: string, ownsGpu: (gpu: number) => boolean, signal: AbortSignal) {
    this.#signal = signal;
    this.#deployment = deployment;
    this.#ownsGpu = ownsGpu;
  }

  /** Throws the first kind of problem, with every instance of it in `details`. Processes in `running` already hold theirs. */
  async reserve(specs: readonly ProcessSpec[], running: ReadonlySet<string>): Promise<void> {
    const fresh = specs.filter((spec) => !running.has(spec.name));
    this.#checkCommands(fresh);
    this.#checkSecrets(fresh);
    await checkPorts(fresh);
    await this.#lockGpusSoon(fresh);
  }

  /** Whoever looks which GPUs are free holds their locks for a moment. */
  async #lockGpusSoon(specs: readonly ProcessSpec[]): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      try {
        this.#lockGpus(specs);
        return;
      } catch (error) {
        if (tries === LOCK_TRIES || !(error instanceof DynamoError) || error.code !== 'GPU_UNAVAILABLE') throw error;
      }
      await sleep(LOCK_PAUSE_MS, this.#signal);
    }
  }

  /** Descriptors for the shim of a process, so that its GPUs stay taken exactly as long as it lives. */
  lockFds(spec: ProcessSpec): number[] {
    this.#lockGpus([spec]); // a shim that died while no agent lived has given them back
    return spec.gpus.map((gpu) => this.#gpuLocks.get(gpu)?.fd).filter((fd) => fd !== null && fd !== undefined);
  }

  /** A process has ended: what its shim held passes to this agent, so that the GPU stays taken for those that share it. */
  keep(spec: ProcessSpec): void {
    for (const gpu of spec.gpus) {
      try {
        this.#tryGpu(gpu, spec);
      } catch {
        // its own restart will say why
      }
    }
  }

  /** Processes are gone for good: what nobody else here uses is free for others. */
  giveBack(specs: readonly ProcessSpec[]): void {
    for (const gpu of new Set(specs.flatMap((spec) => spec.gpus))) {
      if (this.#ownsGpu(gpu)) continue;
      this.#gpuLocks.get(gpu)?.release();
      this.#gpuLocks.delete(gpu);
    }
  }

  release(): void {
    for (const lock of this.#gpuLocks.values()) lock.release();
    this.#gpuLocks.clear();
  }

  #checkCommands(specs: readonly ProcessSpec[]): void {
    const missing = specs.filter((spec) => !spec.external && !isExecutable(spec.argv[0] ?? ''));
    if (missing.length === 0) return;
    const names = [...new Set(missing.map((spec) => spec.argv[0] ?? '(empty)'))];
    const hint = missing.find((spec) => spec.installHint)?.installHint;
    throw new DynamoError('COMMAND_NOT_FOUND', `command not found: ${names.join(', ')}`, {
      details: missing.map((spec) => `${spec.name} needs ${spec.argv[0]}`),
      ...(hint ? { hint } : {}),
    });
  }

  #checkSecrets(specs: readonly ProcessSpec[]): void {
    const missing: string[] = [];
    for (const spec of specs) {
      for (const [name, value] of Object.entries(spec.env)) {
        try {
          resolveEnvValue(value);
        } catch (error) {
          missing.push(`${spec.name}: ${name}: ${messageOf(error)}`);
        }
      }
    }
    if (missing.length > 0)
      throw new DynamoError('SECRET_MISSING', 'a secret the recipe names is not there', { details: missing });
  }

  #lockGpus(specs: readonly ProcessSpec[]): void {
    for (const spec of specs) {
      for (const gpu of spec.gpus) {
        if (this.#tryGpu(gpu, spec) || this.#ownsGpu(gpu)) continue;
        throw new DynamoError(
          'GPU_UNAVAILABLE',
          `GPU ${gpu}${spec.host === 'local' ? '' : ` of ${spec.host}`} is reserved by ${lockHolder(gpuFile(gpu)) ?? 'another deployment'}`,
          {
            hint: 'Stop the other deployment, or choose other GPUs.',
            details: [`${spec.name} wants GPU ${gpu}`],
          },
        );
      }
    }
  }

  /** Whether this agent holds the GPU, now or already. */
  #tryGpu(gpu: number, spec: ProcessSpec): boolean {
    if (this.#gpuLocks.has(gpu)) return true;
    const lock = tryLock(gpuFile(gpu), { holder: `${this.#deployment} (${spec.name})`, hostWide: true });
    if (lock) this.#gpuLocks.set(gpu, lock);
    return lock !== undefined;
  }
}

/** The value a process gets: what was sent, what lies at its place, what a living process has. Throws when there is none. */
export function resolveEnvValue(value: EnvValue): string {
  if (typeof value === 'string') return value;
  const sent = sentSecret(value);
  if (sent !== undefined) return sent;
  if ('fromEnv' in value) {
    const found = process.env[value.fromEnv] || recalledSecret(value);
    if (found) return found;
    throw new Error(`the variable ${value.fromEnv} is not set`);
  }
  try {
    return readFileSync(value.fromFile, 'utf8').trim();
  } catch (error) {
    const found = recalledSecret(value);
    if (found !== undefined) return found;
    throw new Error(`cannot read ${value.fromFile} (${systemCode(error)})`);
  }
}

const gpuFile = (gpu: number) => path.join(lockFolder(), `gpu-${gpu}.lock`);

/** Shared by every user of the host: sticky like /tmp, so that nobody can remove another's lock file. */
function lockFolder(): string {
  const folder = gpuLockFolder(process.env);
  const umask = process.umask(0);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o1777 });
  } catch (error) {
    throw explainWriteError(error, folder);
  } finally {
    process.umask(umask);
  }
  return folder;
}

function isExecutable(command: string): boolean {
  const candidates = command.includes('/')
    ? [command]
    : (process.env['PATH'] ?? '').split(':').map((folder) => path.join(folder || '.', command));
  return candidates.some((file) => {
    try {
      accessSync(file, constants.X_OK);
      return statSync(file).isFile();
    } catch {
      return false;
    }
  });
}

async function checkPorts(specs: readonly ProcessSpec[]): Promise<void> {
  const wanted = specs.flatMap((spec) =>
    Object.entries(spec.ports).map(([purpose, port]) => ({ spec, purpose, port, host: new URL(spec.url).hostname })),
  );
  const tries = await Promise.all(
    wanted.map(async (entry) => ({ ...entry, error: await tryBind(entry.port, entry.host) })),
  );
  const taken = tries.filter((entry) => entry.error !== undefined);
  if (taken.length === 0) return;
  const describe = (entry: (typeof taken)[number]) => {
    const holder = portHolder(entry.port);
    const who = holder ? `held by pid ${holder.pid} (${holder.command})` : entry.error;
    return `port ${entry.port} (${entry.purpose} of ${entry.spec.name}) is ${who}`;
  };
  throw new DynamoError('PORT_IN_USE', describe(taken[0]!), {
    details: taken.map(describe),
    ports: taken.map(({ spec, purpose, port }) => ({ process: spec.name, purpose, port })),
  });
}
