import { DynamoError, messageOf } from '../base/errors.ts';
import type { DeploymentRecord, PendingChange, ScaledNote } from '../deployment/record.ts';
import type { HostFacts } from '../hosts/host-facts.ts';
import { isLostPort } from '../plan/lost-port.ts';
import { type PlannedChange, planScaling } from '../plan/plan-change.ts';
import { planHash } from '../plan/plan-hash.ts';
import type { PlanInput } from '../plan/plan-launch.ts';
import { parseScaleTarget, type ScaleStep } from '../plan/scale-targets.ts';
import type { EventLog } from '../supervise/event-log.ts';
import { crashPoint } from '../supervise/start-steps.ts';
import type { AgentLinks } from './agent-links.ts';
import { type ChangeGangOptions, extendGang, retireProcesses, settleChange, undoChange } from './change-gang.ts';
import type { CommitStore } from './commit-store.ts';
import type { RecordKeeper } from './record-keeper.ts';

/** Ports chosen by dynamo that were taken between plan and start: plan anew this often. */
const PORT_RETRIES = 3;
const FACTS_TIMEOUT_MS = 30_000;

export interface ChangesContext {
  record: RecordKeeper;
  links: AgentLinks;
  events: EventLog;
  epoch: number;
  discovery(): Promise<CommitStore>;
  /** Aborts with a stop, and with the controller. */
  signal: AbortSignal;
}

/**
 * Changes what a committed deployment runs, one change at a time.
 *
 *   planned ─▶ recorded ─▶ new ones started as a gang ─▶ committed ─▶ plan replaced ─▶ what goes is drained ─▶ done
 *                 └───────── failed ──────────┴─▶ undone: all as before
 *
 * The record says what is under way, so that a controller that comes after a crash undoes it or brings it to its end.
 */
export class Changes {
  readonly #context: ChangesContext;
  #busy: string | undefined;

  constructor(context: ChangesContext) {
    this.#context = context;
  }

  /** What is being done now, for people. */
  get busy(): string | undefined {
    return this.#busy ?? this.#context.record.known?.change?.what;
  }

  /** Runs one operation on the whole deployment; throws `DEPLOYMENT_BUSY` while another is under way. */
  async alone<T>(what: string, action: () => Promise<T>): Promise<T> {
    if (this.busy) {
      throw new DynamoError('DEPLOYMENT_BUSY', `${this.#context.record.current.name} is busy: ${this.busy}`, {
        hint: 'Wait until that is done: `dynamo wait ready`.',
      });
    }
    this.#busy = what;
    try {
      return await action();
    } finally {
      this.#busy = undefined;
    }
  }

  /** Other numbers of workers. Resolves with what changed once all of it is done; empty when nothing had to. */
  async scale(targets: readonly string[]): Promise<ScaleStep[]> {
    const parsed = targets.map(parseScaleTarget);
    return this.alone(`scale ${targets.join(' ')}`, async () => {
      const { record, events } = this.#context;
      const taken: number[] = [];
      for (let tries = 1; ; tries += 1) {
        const input = await this.currentInput();
        const takenPorts = [...(input.takenPorts ?? []), ...taken];
        const planned = planScaling({ ...input, takenPorts }, record.current.plan, parsed);
        if (planned.steps.length === 0) return [];
        const change = this.#pendingChange(planned);
        try {
          await this.carryOut(change);
          return planned.steps;
        } catch (error) {
          if (!isLostPort(error, planned.added) || tries > PORT_RETRIES) throw error;
          events.write('change', 'a port was taken between plan and start; planning with others');
          taken.push(...planned.added.flatMap((spec) => Object.values(spec.ports)));
        }
      }
    });
  }

  /** What an earlier controller began: undone, or brought to its end. */
  async finishPending(): Promise<void> {
    const { record, events, discovery } = this.#context;
    const { change, generation, name } = record.current;
    if (!change) return;
    const options = await this.#optionsOf(change);
    const isCommitted = (await (await discovery()).readCommit(generation, change.revision)) !== undefined;
    events.write(
      'change',
      `${name}: ${change.what} was ${isCommitted ? 'committed: bringing it to its end' : 'never committed: taking it back'}`,
    );
    if (isCommitted) await this.#complete(change, options);
    else await this.#takeBack(change, options);
  }

  /** One change, from its record to its end; taken back when it fails. Only within `alone`. */
  async carryOut(change: PendingChange): Promise<void> {
    const { record, events } = this.#context;
    events.write('change', change.what);
    crashPoint('change-record', 'before');
    record.change({ change, revision: change.revision });
    crashPoint('change-record', 'after');
    const options = await this.#optionsOf(change);
    try {
      if (change.added.length > 0) await extendGang(options);
      else await commitAlone(options);
    } catch (error) {
      if (this.#context.signal.aborted) throw error;
      // A commit whose answer was lost counts all the same.
      const standing = await options.discovery.readCommit(options.record.generation, change.revision).catch(() => null);
      if (standing === undefined) {
        events.write('change-undo', `${change.what}: ${messageOf(error)}`);
        await this.#takeBack(change, options);
        throw error;
      }
      if (standing === null) throw error;
    }
    await this.#complete(change, options);
  }

  async #complete(change: PendingChange, options: ChangeGangOptions): Promise<void> {
    const { record, events } = this.#context;
    const before = record.current.plan;
    await settleChange(options);
    const gone = change.removed.flatMap((name) => before.processes.filter((spec) => spec.name === name));
    if (gone.length > 0) await retireProcesses(options, gone);
    const { plan, planInput, scaled, rolling } = change;
    record.change({ plan, planInput, scaled, change: null, ...(rolling && { rolling }) });
    events.write('changed', `${change.what}: done`);
  }

  async #takeBack(change: PendingChange, options: ChangeGangOptions): Promise<void> {
    await undoChange(options);
    this.#context.record.change({ change: null });
    this.#context.events.write('changed', `${change.what}: taken back, everything is as before`);
  }

  async #optionsOf(change: PendingChange): Promise<ChangeGangOptions> {
    const { record, links, epoch, signal, events, discovery } = this.#context;
    return {
      ...{ record: record.current, change, epoch, links, signal, discovery: await discovery() },
      onEvent: (type, message) => events.write(type, message),
    };
  }

  #pendingChange({ plan, input, added, stages, pairs, removed, steps }: PlannedChange): PendingChange {
    const { record } = this.#context;
    return {
      revision: (record.current.revision ?? 0) + 1,
      planHash: planHash(plan),
      what: steps.map(({ group, from, to }) => `${group} ${from} → ${to}`).join(', '),
      plan,
      planInput: { ...record.current.planInput!, recipe: input.recipe },
      scaled: mergeScaled(record.current, steps),
      ...{ added, stages, pairs, removed },
    };
  }

  /** What planning goes by (by default what the last plan was made of), with what the hosts are like now. A host that cannot be asked gets nothing new. */
  async currentInput(from?: PlanInput): Promise<PlanInput> {
    const { record, links, events } = this.#context;
    const { name, recipeFile } = record.current;
    const planInput = from ?? record.current.planInput;
    if (!planInput) {
      throw new DynamoError('STATE_VERSION', `${name} was started by a dynamo that could not scale`, {
        hint: `Stop it and start it again: dynamo stop ${name}; dynamo serve ${recipeFile}`,
      });
    }
    const facts = await Promise.all(
      planInput.facts.map(async (known): Promise<HostFacts | undefined> => {
        try {
          const now = await links.to(known.name).request('facts', {}, FACTS_TIMEOUT_MS);
          return { ...known, gpus: known.gpus.length > 0 ? known.gpus : now.gpus, listeningPorts: now.listeningPorts };
        } catch (error) {
          events.write('change', `nothing new is put on ${known.name}: ${messageOf(error)}`);
          return undefined;
        }
      }),
    );
    return { ...planInput, facts: facts.filter((entry) => entry !== undefined) };
  }
}

/** Nothing is started: only the decision is made durable before anything is drained. */
async function commitAlone({ record, change, epoch, discovery }: ChangeGangOptions): Promise<void> {
  const { revision, planHash: hash } = change;
  crashPoint('change-commit', 'before');
  await discovery.commit({ deployment: record.name, generation: record.generation, revision, planHash: hash, epoch });
  crashPoint('change-commit', 'after');
}

/** Groups as the recipe has them, then as they are now; one that is back at the recipe's number drops out. */
function mergeScaled({ scaled }: DeploymentRecord, steps: readonly ScaleStep[]): ScaledNote | null {
  const groups = new Map(scaled?.groups.map((step) => [step.group, step]));
  for (const { group, from, to } of steps) {
    const first = groups.get(group)?.from ?? from;
    if (first === to) groups.delete(group);
    else groups.set(group, { group, from: first, to });
  }
  return groups.size === 0 ? null : { at: new Date().toISOString(), groups: [...groups.values()] };
}
