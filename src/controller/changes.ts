import { DynamoError, messageOf } from '../base/errors.ts';
import type { DeploymentRecord, PendingChange, ScaledNote } from '../deployment/record.ts';
import type { HostEntry } from '../hosts/host-entry.ts';
import { sharesGpus } from '../hosts/shares-gpus.ts';
import { heldGpus } from '../plan/held-gpus.ts';
import { isLostPort } from '../plan/lost-port.ts';
import { type PlannedChange, planScaling } from '../plan/plan-change.ts';
import { planHash } from '../plan/plan-hash.ts';
import type { PlanInput } from '../plan/plan-launch.ts';
import { groupWorkers } from '../plan/running-groups.ts';
import { applyTargets, parseScaleTarget, type ScaleStep, type ScaleTarget } from '../plan/scale-targets.ts';
import type { EventLog } from '../supervise/event-log.ts';
import type { StartRequest } from '../supervise/protocol.ts';
import { crashPoint } from '../supervise/start-steps.ts';
import type { AgentLinks } from './agent-links.ts';
import { extendGang, retireProcesses, settleChange, undoChange } from './change-gang.ts';
import type { ChangeGangOptions } from './change-gang-options.ts';
import type { CommitStore } from './commit-store.ts';
import { letGoOfEmptied } from './emptied-hosts.ts';
import { factsNow } from './facts-now.ts';
import { sortHosts } from './host-entries.ts';
import { withOwnKit } from './own-kit.ts';
import type { RecordKeeper } from './record-keeper.ts';

/** Ports chosen by dynamo that were taken between plan and start: plan anew this often. */
const PORT_RETRIES = 3;

interface InputWanted {
  spares: boolean;
  from?: PlanInput;
  request?: StartRequest;
}

export interface ChangesContext {
  record: RecordKeeper;
  links: AgentLinks;
  events: EventLog;
  epoch: number;
  discovery(): Promise<CommitStore>;
  /** How hosts are reached, those that the request names included. */
  hosts(request?: StartRequest): HostEntry[];
  /** A change was begun, and neither ended nor taken back: somebody has to go on with it when the way is free again. */
  onUnfinished(): void;
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
      if (this.#context.record.current.change && !this.#context.signal.aborted) this.#context.onUnfinished();
    }
  }

  /** Other numbers of workers. Resolves with what changed once all of it is done; empty when nothing had to. */
  async scale(targets: readonly string[]): Promise<ScaleStep[]> {
    const parsed = targets.map(parseScaleTarget);
    return this.alone(`scale ${targets.join(' ')}`, async () => {
      const { record, events } = this.#context;
      const taken: number[] = [];
      for (let tries = 1; ; tries += 1) {
        const input = await this.currentInput({ spares: this.#grows(parsed) });
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

  /** Hosts without a part are not asked for nothing. */
  #grows(targets: readonly ScaleTarget[]): boolean {
    const { planInput, plan } = this.#context.record.current;
    const groups = planInput ? groupWorkers(planInput.recipe, plan) : [];
    return groups.length > 0 && applyTargets(groups, targets).steps.some(({ from, to }) => to > from);
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
    const { record, events, hosts } = this.#context;
    events.write('change', change.what);
    crashPoint('change-record', 'before');
    const inUse = [...record.current.plan.hosts, ...change.plan.hosts];
    record.change({ change, revision: change.revision, ...sortHosts(hosts(), inUse) });
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
    try {
      await this.#complete(change, options);
    } catch (error) {
      if (this.#context.signal.aborted || !(error instanceof DynamoError)) throw error;
      throw new DynamoError(error.code, error.message, {
        hint: 'The change is committed: it is brought to its end by itself once that is mended.',
        details: error.details,
        cause: error,
      });
    }
  }

  async #complete(change: PendingChange, options: ChangeGangOptions): Promise<void> {
    const { record, events } = this.#context;
    const before = record.current.plan;
    await settleChange(options);
    const gone = change.removed.flatMap((name) => before.processes.filter((spec) => spec.name === name));
    if (gone.length > 0) await retireProcesses(options, gone);
    const { plan, planInput, scaled, rolling } = change;
    record.change({ plan, planInput, scaled, change: null, ...(rolling && { rolling }) });
    await letGoOfEmptied(this.#context);
    events.write('changed', `${change.what}: done`);
  }

  async #takeBack(change: PendingChange, options: ChangeGangOptions): Promise<void> {
    const { record, links, events } = this.#context;
    await undoChange(options);
    // A host that joined for it stays in the plan until its agent has been told that it has nothing to run.
    const { plan } = record.current;
    const joined = links.all.map(({ host }) => host).filter((host) => !plan.hosts.includes(host));
    record.change({ change: null, plan: { ...plan, hosts: [...plan.hosts, ...joined] } });
    await letGoOfEmptied(this.#context);
    events.write('changed', `${change.what}: taken back, everything is as before`);
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

  /**
   * What planning goes by (by default what the last plan was made of; `request`: of what it shall become), with what the hosts are like
   * now. A host that cannot be asked gets nothing new. `spares`: also hosts that have no part in the deployment yet.
   */
  async currentInput({ spares, from, request }: InputWanted): Promise<PlanInput> {
    const { record, links, events, signal } = this.#context;
    const { name, recipeFile } = record.current;
    const planInput = from ?? record.current.planInput;
    if (!planInput) {
      throw new DynamoError('STATE_VERSION', `${name} was started by a dynamo that could not scale`, {
        hint: `Stop it and start it again: dynamo stop ${name}; dynamo serve ${recipeFile}`,
      });
    }
    const entries = this.#context.hosts(request);
    const facts = await factsNow(planInput.facts, {
      ...{ plan: record.current.plan, links, entries, spares, signal },
      onLeftOut: (host, why) => events.write('change', `nothing new is put on ${host}: ${why}`),
    });
    const hosts = planInput.hosts && (await withOwnKit(planInput.hosts, entries));
    const held = heldGpus(facts, name, (host) => sharesGpus(host, entries, process.env));
    return { ...planInput, facts, ...(hosts && { hosts }), heldGpus: held };
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
