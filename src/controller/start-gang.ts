import { DynamoError } from '../base/errors.ts';
import type { StepSnapshot } from '../deployment/snapshot.ts';
import { describeStartPath } from '../deployment/start-path.ts';
import type { LaunchPlan } from '../plan/launch-plan.ts';
import { endOf, pairToProve } from '../supervise/pair-proof/pair-end.ts';
import type { ProvePair } from '../supervise/protocol.ts';
import { crashPoint, type StartStep } from '../supervise/start-steps.ts';
import type { AgentLink } from './agent-link.ts';
import type { CommitStore } from './commit-store.ts';
import { proveSharedFolder } from './prove-shared-folder.ts';
import { type MarkPart, StepClock } from './step-clock.ts';

/** An agent may die this often during one start before the start is given up. */
const AGENT_LOSSES = 3;

export interface StartGangOptions {
  plan: LaunchPlan;
  planHash: string;
  generation: number;
  epoch: number;
  links: readonly AgentLink[];
  discovery: CommitStore;
  /** Folder of the file backend on this machine. */
  discoveryRoot: string;
  /** Every host is ours alone: what an earlier start left in the store may go. Called once. */
  onAttached(): Promise<void>;
  signal: AbortSignal;
  onEvent(type: string, message: string): void;
  /** From here on the commit record may stand, whatever else is known. */
  onCommitting(): void;
  /** The commit point has been passed; where the time went up to it. */
  onCommitted(startSteps: StepSnapshot[]): void;
}

/** A start under way. */
interface GangStart extends StartGangOptions {
  clock: StepClock;
}

/**
 * One gang start, from agents to settled; `start-steps.ts` has the order. Resolves with where its time went, from the start of this
 * process. Every step may be repeated, so an agent that dies on
 * the way is replaced and the steps run again over what its successor re-adopted. Anything else that fails is thrown:
 * the caller undoes the start.
 */
export async function startGang(request: StartGangOptions): Promise<StepSnapshot[]> {
  const clock = new StepClock(() => performance.now(), 0);
  const options: GangStart = { ...request, clock };
  clock.end('record');
  let isStoreClear = false;
  for (let losses = 0; ; losses += 1) {
    const renewing = new AbortController();
    try {
      await step(options, 'agents', (all) => all((link, mark) => link.ensure(options.signal, mark)));
      await step(options, 'attach', () => attachInOrder(options));
      for (const link of options.links) void link.renewEvery(options.plan.startLeaseMs / 4, renewing.signal);
      if (!isStoreClear) await options.onAttached();
      isStoreClear = true;
      await runSteps(options);
      options.onEvent('start-path', describeStartPath(clock.steps));
      return clock.steps;
    } catch (error) {
      options.signal.throwIfAborted();
      const agentLost =
        error instanceof DynamoError && (error.code === 'CONNECT_FAILED' || error.code === 'START_LOST');
      if (!agentLost || losses >= AGENT_LOSSES) throw error;
      options.onEvent('agent-lost', `${error.message}; taking the start up again`);
    } finally {
      renewing.abort();
    }
  }
}

/**
 * One after the other by name: of two launchers that want the same hosts at the same moment, one gets the first they have in common, and
 * the other stops there. In parallel each could hold what the other needs, and both would fail.
 */
async function attachInOrder({ links, clock }: GangStart): Promise<void> {
  const inOrder = links.toSorted((one, other) => (one.host < other.host ? -1 : 1));
  for (const link of inOrder) await clock.onHost(link.host, () => link.attach());
}

async function runSteps(options: GangStart): Promise<void> {
  const { plan, planHash, generation, links, signal, clock } = options;
  const onHost = (host: string) => plan.processes.filter((spec) => spec.host === host);
  const { startLeaseMs } = plan;
  const { discovery } = plan;
  const ownStore = (discovery.backend === 'etcd' && discovery.managed?.members) || [];

  await step(options, 'reserve', async (all) => {
    await all((link) =>
      link.request('reserve', { generation, planHash, startLeaseMs, discovery, processes: onHost(link.host) }),
    );
    await proveSharedFolder(plan, links, options.discoveryRoot);
  });
  await step(options, 'prepare', (all) => all((link) => link.request('prepare', { generation })));
  for (const stage of plan.stages) {
    signal.throwIfAborted();
    const namesOn = (host: string) =>
      onHost(host)
        .filter((spec) => stage.includes(spec.name))
        .map((spec) => spec.name);
    await step(options, 'launch', (all) => all((link) => link.request('launch', { names: namesOn(link.host) })));
    await step(options, 'ready', (all) => all((link) => link.request('ready', { names: namesOn(link.host) })));
    if (stage.some((name) => ownStore.includes(name))) await options.discovery.open();
  }
  await step(options, 'prove', async () => {
    const work = links.map((link) => ({ link, pairs: pairsProvenOn(plan, link.host) }));
    const prove = ({ link, pairs }: (typeof work)[number]) =>
      clock.onHost(link.host, () => link.request('prove', { pairs }));
    await Promise.all(work.filter(({ pairs }) => pairs.length === 0).map(prove));
    // One after the other over all hosts: the counters are read while nothing else runs.
    for (const each of work.filter(({ pairs }) => pairs.length > 0)) await prove(each);
  });
  await step(options, 'publish', (all) => all((link) => link.request('publish', {})));
  signal.throwIfAborted();
  options.onCommitting();
  await step(options, 'commit', () => commit(options));
  options.onCommitted(clock.steps);
  await step(options, 'settle', (all) => all((link) => link.request('settle', { generation })));
}

async function commit(options: StartGangOptions): Promise<void> {
  const { plan, planHash, generation, epoch } = options;
  const standing = await options.discovery.commit({ deployment: plan.deployment, generation, planHash, epoch });
  if (standing.planHash === planHash) return;
  throw new DynamoError(
    'SUPERSEDED',
    `generation ${generation} was committed with another plan by epoch ${standing.epoch}`,
  );
}

/** The host of the decode worker proves the pair: it reaches both ends on the data plane. */
function pairsProvenOn(plan: LaunchPlan, host: string): ProvePair[] {
  const spec = (name: string) => {
    const found = plan.processes.find((process) => process.name === name);
    if (!found) throw new Error(`the plan pairs ${name}, which it does not have`);
    return found;
  };
  return plan.pairs
    .map((pair) => ({ prefill: spec(pair.prefill), decode: spec(pair.decode) }))
    .filter(({ decode }) => decode.host === host)
    .map(({ prefill, decode }) => pairToProve(endOf(prefill), endOf(decode)));
}

/** In parallel over hosts; the first failure ends the wait, the undo takes care of the others. */
type OnAll = (action: (link: AgentLink, mark: MarkPart) => Promise<unknown>) => Promise<unknown>;

async function step<T>({ links, clock }: GangStart, name: StartStep, action: (all: OnAll) => Promise<T>): Promise<T> {
  crashPoint(name, 'before');
  const result = await action((work) =>
    Promise.all(links.map((link) => clock.onHost(link.host, (mark) => work(link, mark)))),
  );
  clock.end(name);
  crashPoint(name, 'after');
  return result;
}
