import { DynamoError } from '../base/errors.ts';
import { until } from '../base/until.ts';
import type { ProcessSnapshot } from '../deployment/snapshot.ts';
import type { LaunchPlan, ProcessSpec } from '../plan/launch-plan.ts';
import { isFollower } from '../plan/worker-group.ts';

/** Patience with others of a role that are not ready by themselves. */
const OTHERS_READY_MS = 120_000;

/** In this order: a decode worker that comes back is proven with prefill workers that stay. */
const ORDER = ['prefill', 'decode', 'aggregated', 'frontend', 'router', 'planner'];

/**
 * Which processes a rolling restart goes through: all but the store, or those of the named roles, models, hosts and processes.
 * Pure. Throws `USAGE` for a name that means nothing here.
 */
export function rollingOrder(plan: LaunchPlan, targets: readonly string[]): ProcessSpec[] {
  const own = plan.processes.filter((spec) => !isFollower(spec) && spec.role !== 'store' && !spec.external);
  const meant = (spec: ProcessSpec, target: string) =>
    [spec.name, spec.role, spec.host, spec.model, spec.model === null ? null : `${spec.model}/${spec.role}`].includes(
      target,
    );
  for (const target of targets) {
    if (own.some((spec) => meant(spec, target))) continue;
    throw new DynamoError('USAGE', `nothing here is called ${target}`, {
      hint: `Name roles, hosts or processes: ${[...new Set(own.flatMap((spec) => [spec.role, spec.host, spec.name]))].join(', ')}.`,
    });
  }
  return own
    .filter((spec) => targets.length === 0 || targets.some((target) => meant(spec, target)))
    .toSorted((a, b) => ORDER.indexOf(a.role) - ORDER.indexOf(b.role));
}

export interface RollingContext {
  plan: LaunchPlan;
  processes(): readonly ProcessSnapshot[];
  restart(spec: ProcessSpec): Promise<void>;
  onEvent(message: string, process: string | null): void;
  signal: AbortSignal;
}

/**
 * Restarts one process after the other: each is drained, started anew, ready and proven with its peers before the next is
 * touched, and none goes while another of its kind is down. Throws what the first failure was; those after it are as they were.
 */
export async function restartRolling(specs: readonly ProcessSpec[], context: RollingContext): Promise<string[]> {
  const done: string[] = [];
  for (const spec of specs) {
    context.signal.throwIfAborted();
    let touched = 0;
    try {
      await othersReady(spec, context);
      touched = 1;
      context.onEvent(describe(spec, done.length, specs, context.plan), spec.name);
      await context.restart(spec);
    } catch (error) {
      if (!(error instanceof DynamoError)) throw error;
      const left = specs.slice(done.length + touched).map(({ name }) => name);
      throw new DynamoError(error.code, error.message, {
        hint: error.hint,
        details: [...error.details, ...(left.length > 0 ? [`not touched: ${left.join(', ')}`] : [])],
      });
    }
    done.push(spec.name);
  }
  return done;
}

function describe(spec: ProcessSpec, done: number, specs: readonly ProcessSpec[], plan: LaunchPlan): string {
  const alone = kindOf(spec, plan).length === 1;
  const note = alone ? `; it is the only ${spec.role}: requests that need it wait or fail` : '';
  return `restarting (${done + 1} of ${specs.length})${note}`;
}

const kindOf = (spec: ProcessSpec, plan: LaunchPlan): ProcessSpec[] =>
  plan.processes.filter((other) => other.role === spec.role && other.model === spec.model && !isFollower(other));

/** Resolves when all others of its kind are ready. Throws `PROCESS_FAILED` when one of them is not in time, or never will be. */
export async function othersReady(
  spec: ProcessSpec,
  { plan, processes, signal }: Pick<RollingContext, 'plan' | 'processes' | 'signal'>,
): Promise<void> {
  const others = kindOf(spec, plan).filter((other) => other.name !== spec.name);
  if (others.length === 0) return;
  const stateOf = (name: string) => processes().find((process) => process.name === name)?.state;
  const notReady = () => others.filter(({ name }) => stateOf(name) !== 'ready').map(({ name }) => name);
  const isFinal = (name: string) => stateOf(name) === 'failed' || stateOf(name) === 'exited';
  await until(() => (notReady().length === 0 || notReady().some(isFinal) ? true : undefined), {
    deadlineMs: OTHERS_READY_MS,
    signal,
  });
  const down = notReady();
  if (down.length === 0) return;
  throw new DynamoError(
    'PROCESS_FAILED',
    `${down.join(', ')} is not ready: ${spec.name} is not taken out as long as that is so`,
  );
}
