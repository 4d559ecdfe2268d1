import { pause } from '../base/abort.ts';
import { DynamoError } from '../base/errors.ts';
import type { PendingChange } from '../deployment/record.ts';
import type { ProcessSpec } from '../plan/launch-plan.ts';
import { atLiveAddress } from '../plan/live-address.ts';
import { isFollower } from '../plan/worker-group.ts';
import type { ChangeStep } from '../supervise/change-steps.ts';
import { endOf, pairToProve } from '../supervise/pair-proof/pair-end.ts';
import { crashPoint } from '../supervise/start-steps.ts';
import type { AgentLink } from './agent-link.ts';
import { attachedLinks } from './attached-links.ts';
import type { ChangeGangOptions } from './change-gang-options.ts';
import { joinHosts } from './join-hosts.ts';

/** An agent may die this often during one change before the change is given up. */
const AGENT_LOSSES = 3;
/** A host that is away takes a change back by itself: whoever asked for it is told soon. */
const UNDO_PATIENCE_MS = 10_000;

/**
 * Starts the new processes of a change as a gang of their own, up to its commit record; `change-steps.ts` has the order. Every
 * step may be repeated: an agent that dies on the way is replaced and the steps run again. Anything else that fails is thrown, and
 * the caller undoes the change.
 */
export async function extendGang(options: ChangeGangOptions): Promise<void> {
  for (let losses = 0; ; losses += 1) {
    const renewing = new AbortController();
    try {
      await step('change-join', () => joinHosts(options));
      const links = await attachedLinks(options, hostsOf(options));
      for (const link of links) void link.renewEvery(options.record.plan.startLeaseMs / 4, renewing.signal);
      await runSteps(options, links);
      return;
    } catch (error) {
      options.signal.throwIfAborted();
      if (!isAgentLoss(error) || losses >= AGENT_LOSSES) throw error;
      options.onEvent('agent-lost', `${error.message}; taking the change up again`);
      await pause(50, options.signal);
    } finally {
      renewing.abort();
    }
  }
}

/** Restart policies apply to what is committed. Goes on until every agent has heard of it. */
export async function settleChange(options: ChangeGangOptions): Promise<void> {
  const { change } = options;
  await retried(options, hostsOf(options), (link) =>
    step('change-settle', () => link.request('extendSettle', { revision: change.revision })),
  );
}

/**
 * Drains and forgets what goes, host by host at once, one process after the other on each. Followers go when their leaders have finished
 * what they were asked.
 */
export async function retireProcesses(options: ChangeGangOptions, specs: readonly ProcessSpec[]): Promise<void> {
  for (const wave of [specs.filter((spec) => !isFollower(spec)), specs.filter(isFollower)]) {
    await retried(options, new Set(wave.map((spec) => spec.host)), (link) =>
      step('change-retire', async () => {
        for (const spec of wave.filter((entry) => entry.host === link.host))
          await link.request('retire', { names: [spec.name] });
      }),
    );
  }
}

/** Takes an uncommitted change back on every host. An agent that cannot be told does so by itself when its lease is over. */
export async function undoChange(options: ChangeGangOptions): Promise<void> {
  const { change } = options;
  await Promise.all(
    [...hostsOf(options)].map(async (host) => {
      try {
        const [link] = await attachedLinks(options, new Set([host]), UNDO_PATIENCE_MS);
        // One that never took part has nothing to take back.
        await link?.request('extendUndo', { revision: change.revision });
      } catch (error) {
        if (options.signal.aborted) return;
        const why = error instanceof Error ? error.message : String(error);
        options.onEvent(
          'change-undo',
          `${host} could not be told to take the change back; it does so by itself: ${why}`,
        );
      }
    }),
  );
}

async function runSteps(options: ChangeGangOptions, links: readonly AgentLink[]): Promise<void> {
  const { record, change, epoch, discovery, signal } = options;
  const { revision, planHash } = change;
  const { generation } = record;
  const ownOf = (link: AgentLink) => change.added.filter((spec) => spec.host === link.host);
  const starting = links.filter((link) => ownOf(link).length > 0);
  await all(starting, (link) => link.sendSecrets());
  await step('change-reserve', () =>
    all(starting, (link) => link.request('extend', { generation, revision, planHash, processes: ownOf(link) })),
  );
  await step('change-prepare', () => all(starting, (link) => link.request('extendPrepare', { revision })));
  for (const stage of change.stages) {
    signal.throwIfAborted();
    const names = (link: AgentLink) => ownOf(link).flatMap(({ name }) => (stage.includes(name) ? [name] : []));
    await step('change-launch', () =>
      all(starting, (link) => link.request('extendLaunch', { revision, names: names(link) })),
    );
    await step('change-ready', () =>
      all(starting, (link) => link.request('extendReady', { revision, names: names(link) })),
    );
  }
  await step('change-prove', async () => {
    for (const link of links) await link.request('extendProve', { revision, pairs: pairsOn(options, link.host) });
  });
  await step('change-publish', () => all(starting, (link) => link.request('extendPublish', { revision })));
  signal.throwIfAborted();
  await step('change-commit', () =>
    discovery.commit({ deployment: record.name, generation, revision, planHash, epoch }),
  );
}

/** Hosts with something to start, or with a decode worker that a new prefill worker is paired with. */
function hostsOf({ change }: ChangeGangOptions): Set<string> {
  const paired = change.pairs.map(({ decode }) => hostOf(change, decode));
  return new Set([...change.added.map((spec) => spec.host), ...paired]);
}

const hostOf = (change: PendingChange, name: string): string =>
  change.plan.processes.find((spec) => spec.name === name)!.host;

function pairsOn({ change, links }: ChangeGangOptions, host: string) {
  const isNew = (name: string) => change.added.some((spec) => spec.name === name);
  const seen = [...links.statuses().values()].flatMap(({ processes }) => processes).filter(({ name }) => !isNew(name));
  const spec = (name: string) => atLiveAddress(change.plan.processes.find((process) => process.name === name)!, seen);
  return change.pairs
    .filter(({ decode }) => hostOf(change, decode) === host)
    .map(({ prefill, decode }) => pairToProve(endOf(spec(prefill)), endOf(spec(decode))));
}

/** On each host, again when its agent was lost on the way. Throws what else fails. */
async function retried(
  options: ChangeGangOptions,
  hosts: ReadonlySet<string>,
  action: (link: AgentLink) => Promise<unknown>,
): Promise<void> {
  await Promise.all(
    [...hosts].map(async (host) => {
      for (;;) {
        const [link] = await attachedLinks(options, new Set([host]));
        try {
          await action(link!);
          return;
        } catch (error) {
          options.signal.throwIfAborted();
          if (!isAgentLoss(error)) throw error;
          await pause(50, options.signal);
        }
      }
    }),
  );
}

const isAgentLoss = (error: unknown): error is DynamoError =>
  error instanceof DynamoError && error.code === 'CONNECT_FAILED';

async function step<T>(name: ChangeStep, action: () => Promise<T>): Promise<T> {
  crashPoint(name, 'before');
  const result = await action();
  crashPoint(name, 'after');
  return result;
}

const all = <T>(links: readonly AgentLink[], action: (link: AgentLink) => Promise<T>): Promise<T[]> =>
  Promise.all(links.map(action));
