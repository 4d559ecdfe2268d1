import { sleep } from '../base/abort.ts';
import { DynamoError, type ErrorCode, messageOf } from '../base/errors.ts';
import { until } from '../base/until.ts';
import type { PendingChange, RollingRecord } from '../deployment/record.ts';
import type { ProcessSnapshot } from '../deployment/snapshot.ts';
import type { HostEntry } from '../hosts/host-entry.ts';
import type { LaunchPlan, ProcessSpec } from '../plan/launch-plan.ts';
import { isLostPort } from '../plan/lost-port.ts';
import { movePortsAway } from '../plan/move-ports-away.ts';
import { planHash } from '../plan/plan-hash.ts';
import type { PlanInput } from '../plan/plan-launch.ts';
import type { RollingStep } from '../plan/plan-replacement.ts';
import {
  nextRollingStep,
  onTheWay,
  planOf,
  previewRolling,
  rollingObstacles,
  staleProcesses,
} from '../plan/plan-rolling.ts';
import type { EventLog } from '../supervise/event-log.ts';
import type { StartRequest } from '../supervise/protocol.ts';
import type { AgentLinks } from './agent-links.ts';
import type { Changes } from './changes.ts';
import { emptiedHosts } from './emptied-hosts.ts';
import { sortHosts } from './host-entries.ts';
import type { RecordKeeper } from './record-keeper.ts';
import { cannotRoll, refuseLosses } from './rolling-refusals.ts';
import { othersReady } from './rolling-restart.ts';

/** Patience with agents that are being replaced. */
const AGENTS_BACK_MS = 30_000;
const JOIN_LOOK_MS = 100;
/** Ports chosen by dynamo that were taken between plan and start: plan anew this often. */
const PORT_RETRIES = 3;
/** Not the new recipe's fault. */
const BLOCKED: ReadonlySet<ErrorCode> = new Set(['HOST_UNREACHABLE', 'CONNECT_FAILED', 'DISCOVERY_UNREACHABLE']);
const GOES_ON =
  'It goes on by itself once that is mended; the same command waits for it. What is out of service until then: `dynamo status`.';

export interface RollingChangeContext {
  record: RecordKeeper;
  changes: Changes;
  links: AgentLinks;
  events: EventLog;
  /** How hosts are reached, those that the request names included. */
  hosts(request: StartRequest): HostEntry[];
  /** Only the way is blocked: `resume` has to be called again when it is free. */
  onBlocked(): void;
  signal: AbortSignal;
}

/**
 * Brings a running deployment to another recipe, one process after the other. Each step is a change of its own with its commit
 * record, and the record says what is still to do: a controller that comes after a crash ends the step under way, brings back what
 * was out, and goes on.
 *
 *   recorded ─▶ next step ─▶ changes: out, then in, or in beside, then out ─▶ … ─▶ the recipe is the new one
 *                  ▲     │ the new one does not come up
 *                  └─────┴▶ the old one is brought back ─▶ stands still, with the reason
 */
export class RollingChange {
  readonly #context: RollingChangeContext;

  constructor(context: RollingChangeContext) {
    this.#context = context;
  }

  /** Resolves with what was done. Throws `RECIPE_CHANGED` when there is no such way, and what keeps a step from succeeding. */
  async begin(request: StartRequest, replace: boolean): Promise<string[]> {
    const { changes, record } = this.#context;
    if (await this.#joined(request)) return [];
    return changes.alone('rolling replacement', async () => {
      const { planInput: before, plan, rolling: earlier } = record.current;
      const { planInput: target } = request;
      if (!before || !target) throw cannotRoll(request, ['it was started by a dynamo that could not']);
      const obstacles = rollingObstacles(before.recipe, target.recipe);
      if (obstacles.length > 0) throw cannotRoll(request, obstacles);
      const stale = staleProcesses(before, target, plan, earlier?.stale);
      const planInput = onTheWay(before, target, plan);
      if (!replace) {
        const input = await changes.currentInput({ spares: true, from: planInput, request });
        refuseLosses(request, previewRolling(input, plan, { target, stale }));
      }
      record.change({ planInput, rolling: { request, replace, stale, out: null, problem: null } });
      return this.#goOn(false);
    });
  }

  /** What an earlier controller began goes on. */
  async resume(): Promise<void> {
    const { changes, record, events } = this.#context;
    const { rolling } = record.current;
    if (!rolling || rolling.problem !== null) return;
    await this.#hostsAnswer();
    events.write('rolling', `going on towards ${rolling.request.recipeFile}`);
    await changes.alone('rolling replacement', () => this.#goOn(true));
  }

  /** Somebody asks again for what is under way, after a crash of the controller: waits for its end. Throws what kept it from that. */
  async #joined({ recipeHash }: StartRequest): Promise<boolean> {
    const { record, signal } = this.#context;
    const isUnderWay = () => {
      const { rolling } = record.current;
      return rolling?.request.recipeHash === recipeHash && rolling.problem === null;
    };
    if (!isUnderWay()) return false;
    while (isUnderWay()) await sleep(JOIN_LOOK_MS, signal);
    const problem = record.current.rolling?.problem;
    if (problem) throw new DynamoError('PROCESS_FAILED', `the replacement stands still: ${problem}`);
    return true;
  }

  /** `patient`: whoever called tries again when only the way there is blocked. */
  async #goOn(patient: boolean): Promise<string[]> {
    const { record, events, signal, onBlocked } = this.#context;
    const done: string[] = [];
    const details = () => (done.length > 0 ? [`done before it: ${done.join('; ')}`] : []);
    try {
      await this.#hostsAnswer();
      await this.#bringBack();
      for (;;) {
        signal.throwIfAborted();
        await this.#hostsAnswer();
        const step = await this.#nextStep();
        if (!step) break;
        if (step.loses && !this.#rolling.replace) refuseLosses(this.#rolling.request, [step]);
        events.write('rolling', step.what);
        await this.#carryOut(step);
        done.push(step.what);
      }
    } catch (error) {
      if (signal.aborted) throw error;
      if (error instanceof DynamoError && this.#isBlocked(error)) {
        if (patient) throw error;
        events.write('rolling', `waits: ${error.message}`);
        onBlocked();
        throw new DynamoError(error.code, error.message, {
          hint: GOES_ON,
          details: [...error.details, ...details()],
          cause: error,
        });
      }
      record.change({ rolling: { ...this.#rolling, problem: messageOf(error) } });
      events.write('rolling', `stands still: ${messageOf(error)}`);
      if (!(error instanceof DynamoError)) throw error;
      throw new DynamoError(error.code, error.message, {
        hint: `${this.#asItIs()} ${error.hint ?? ''}`.trim(),
        details: [...error.details, ...details()],
        cause: error,
      });
    }
    this.#finish();
    return done;
  }

  /** For whoever reads why it stands still. */
  #asItIs(): string {
    const { out } = this.#rolling;
    if (!out) return 'Everything serves as it did before this step.';
    return `${out.specs[0]!.name} is out of service; the same command brings it back, or its successor.`;
  }

  /** Hosts of what runs; one that has nothing to run any more is not waited for. */
  #away(): string[] {
    const { record, links } = this.#context;
    const emptied = emptiedHosts(record.current);
    return links.all.filter(({ host, status }) => !status && !emptied.includes(host)).map(({ host }) => host);
  }

  /** Nothing is replaced while it is unknown what a host runs. Throws `HOST_UNREACHABLE` when one stays away. */
  async #hostsAnswer(): Promise<void> {
    const { signal } = this.#context;
    await until(() => this.#away().length === 0 || undefined, { deadlineMs: AGENTS_BACK_MS, signal });
    const away = this.#away();
    if (away.length > 0) throw new DynamoError('HOST_UNREACHABLE', `no agent answers on ${away.join(', ')}`);
  }

  /** Not the new recipe's fault: a host of what runs, or the store, is away, perhaps with a worker out of service. */
  #isBlocked({ code }: DynamoError): boolean {
    const { change } = this.#context.record.current;
    if (!BLOCKED.has(code)) return false;
    return code === 'DISCOVERY_UNREACHABLE' || Boolean(change) || this.#rolling.out !== null || this.#away().length > 0;
  }

  /** `from`: as it was before a step, to plan that one anew without the ports of `lost`. */
  async #nextStep(
    from?: { plan: LaunchPlan; planInput: PlanInput; stale: string[] },
    lost: readonly ProcessSpec[] = [],
  ): Promise<RollingStep | undefined> {
    const { request, stale } = this.#rolling;
    const { changes, record } = this.#context;
    const input = await changes.currentInput({ spares: true, request, ...(from && { from: from.planInput }) });
    if (input.facts.length === 0) throw new DynamoError('HOST_UNREACHABLE', 'no host of the deployment answers');
    const takenPorts = [...(input.takenPorts ?? []), ...lost.flatMap((spec) => Object.values(spec.ports))];
    const state = { target: request.planInput!, stale: from?.stale ?? stale };
    return nextRollingStep({ ...input, takenPorts }, from?.plan ?? record.current.plan, state);
  }

  async #carryOut(step: RollingStep): Promise<void> {
    const { changes, record } = this.#context;
    const { plan, planInput } = record.current;
    const rolling = this.#rolling;
    const stale = rolling.stale.filter((name) => !step.removed.includes(name));
    const after = { ...rolling, stale, out: null };
    const { added, stages, removed } = step;
    const withStep = { ...planInput!, recipe: step.recipe };
    if (!step.between) {
      const whole = planOf(step.recipe, plan, step.processes, stages);
      await changes.carryOut(
        this.#change({ what: step.what, plan: whole, planInput: withStep, added, stages, removed, rolling: after }),
      );
      return;
    }
    await this.#othersReady(plan.processes.find(({ name }) => name === step.removed[0])!);
    const specs = plan.processes.filter(({ name }) => step.removed.includes(name));
    await changes.carryOut(
      this.#change({
        what: `${step.what} (out)`,
        plan: planOf(step.between.recipe, plan, step.between.processes),
        planInput: { ...withStep, recipe: step.between.recipe },
        ...{ added: [], stages: [], removed: step.removed },
        rolling: { ...after, out: { specs, plan, planInput: planInput! } },
      }),
    );
    await this.#bringIn(step, { plan, planInput: planInput!, stale: rolling.stale }, after);
  }

  /** The successor of one that is out. Ports that were taken since they were chosen are chosen anew. */
  async #bringIn(
    step: RollingStep,
    before: { plan: LaunchPlan; planInput: PlanInput; stale: string[] },
    after: RollingRecord,
  ): Promise<void> {
    const { changes, events, signal } = this.#context;
    for (let next = step, tries = 1; ; tries += 1) {
      const { what, recipe, processes, added, stages } = next;
      const plan = planOf(recipe, before.plan, processes, stages);
      const planInput = { ...before.planInput, recipe };
      try {
        await changes.carryOut(this.#change({ what, plan, planInput, added, stages, removed: [], rolling: after }));
        return;
      } catch (error) {
        if (signal.aborted) throw error;
        const again =
          tries <= PORT_RETRIES && isLostPort(error, added) ? await this.#nextStep(before, added) : undefined;
        if (!again) {
          // With a host away nothing can be brought back now; who goes on does it first.
          if (this.#away().length === 0) await this.#bringBack();
          throw error;
        }
        events.write('rolling', `${added[0]!.name}: a port was taken between plan and start; planning with others`);
        next = again;
      }
    }
  }

  /** The process that is out comes back as it was. */
  async #bringBack(): Promise<void> {
    const { changes, record, events, signal } = this.#context;
    const { out, stale } = this.#rolling;
    if (!out) return;
    const names = out.specs.map(({ name }) => name);
    if (names.every((name) => record.current.plan.processes.some((spec) => spec.name === name))) return;
    const leader = names[0]!;
    events.write('rolling', `${leader}: brought back as it was`);
    let { specs } = out;
    for (let tries = 1; ; tries += 1) {
      const processes = out.plan.processes.map((spec) => specs.find(({ name }) => name === spec.name) ?? spec);
      const parts = { planInput: out.planInput, added: specs, stages: [names], removed: [] };
      const after = { ...this.#rolling, stale: [...stale.filter((name) => name !== leader), leader], out: null };
      try {
        await changes.carryOut(
          this.#change({ what: `${leader}: brought back`, plan: { ...out.plan, processes }, ...parts, rolling: after }),
        );
        return;
      } catch (error) {
        if (signal.aborted || tries > PORT_RETRIES || !isLostPort(error, specs)) throw error;
        specs = await this.#withOtherPorts(specs);
      }
    }
  }

  /** Somebody took a port while it was out. */
  async #withOtherPorts(specs: readonly ProcessSpec[]): Promise<ProcessSpec[]> {
    const { changes, record, events } = this.#context;
    events.write('rolling', `${specs[0]!.name}: a port was taken while it was out; it gets others`);
    const { facts } = await changes.currentInput({ spares: false });
    const taken = new Map(facts.map(({ name, listeningPorts }) => [name, new Set(listeningPorts)]));
    for (const { host, ports } of record.current.plan.processes)
      for (const port of Object.values(ports)) taken.get(host)?.add(port);
    return specs.map((spec) => movePortsAway(spec, taken.get(spec.host) ?? new Set()));
  }

  #change(parts: {
    what: string;
    plan: PendingChange['plan'];
    planInput: PlanInput;
    added: ProcessSpec[];
    stages: string[][];
    removed: string[];
    rolling: RollingRecord;
  }): PendingChange {
    const { current } = this.#context.record;
    const fresh = new Set(parts.added.map(({ name }) => name));
    // A host that has nothing to run any more stays until its agent has been told.
    const plan = { ...parts.plan, hosts: [...new Set([...current.plan.hosts, ...parts.plan.hosts])] };
    return {
      ...parts,
      plan,
      revision: (current.revision ?? 0) + 1,
      planHash: planHash(plan),
      scaled: current.scaled ?? null,
      pairs: parts.plan.pairs.filter(({ prefill, decode }) => fresh.has(prefill) || fresh.has(decode)),
    };
  }

  /** None goes while another of its kind is down. */
  async #othersReady(spec: ProcessSpec): Promise<void> {
    const { record, links, signal } = this.#context;
    const processes = (): ProcessSnapshot[] => [...links.statuses().values()].flatMap((status) => status.processes);
    await othersReady(spec, { plan: record.current.plan, processes, signal });
  }

  #finish(): void {
    const { record, events, hosts } = this.#context;
    const { recipeFile, recipeHash, recipeText, plan: wanted, planInput } = this.#rolling.request;
    const { hooks: _, ...plan } = record.current.plan;
    const endpoint = plan.processes.find(({ role }) => role === 'frontend')?.url ?? plan.endpoint;
    record.change({
      ...{ recipeFile, recipeHash, recipeText, scaled: null, rolling: null },
      ...sortHosts(hosts(this.#rolling.request), plan.hosts),
      planInput: planInput!,
      plan: {
        ...plan,
        endpoint,
        warnings: wanted.warnings,
        ...(wanted.hooks ? { hooks: wanted.hooks } : {}),
      },
    });
    events.write('rolling', `done: it runs ${recipeFile}`);
  }

  get #rolling(): RollingRecord {
    const { rolling } = this.#context.record.current;
    if (!rolling) throw new Error('no rolling replacement is under way');
    return rolling;
  }
}
