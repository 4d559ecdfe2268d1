import { bracket } from '../base/url-host.ts';
import type { Engine, PortWish } from '../engines/engine.ts';
import type { EngineLaunch } from '../engines/worker.ts';
import { takeOnAll } from './assign-ports.ts';
import type { WorkerDraft } from './draft-workers.ts';
import { explainPort } from './explain-port.ts';
import type { EnvValue, FreshPort, GroupMember, ProcessSpec } from './launch-plan.ts';
import type { WorkerPlace } from './place-workers.ts';
import { portName, writeLaunchPorts } from './port-texts.ts';
import { drainOf, livenessOf, restartOf } from './process-policies.ts';
import { workerNetwork } from './worker-network.ts';

type Member = WorkerPlace['members'][number];

/** Ports among which a restart finds another. */
const FRESH_RANGE = 1_000;

interface PortPlan {
  /** Of the whole worker, by purpose: the same numbers on every host. */
  ports: Record<string, number>;
  fixedPorts: string[];
  reasons: string[];
}

/** The processes of one worker: one, or a leader and followers on further hosts. `peers`: where those are that it exchanges KV cache with. */
export function planWorker(draft: WorkerDraft, place: WorkerPlace, peers: readonly Member[]): ProcessSpec[] {
  const wishes = draft.engine.ports(draft.settings);
  const ports = assignPorts(draft, place, wishes);
  const specs = place.members.map((member, rank) => planMember(draft, place, { member, rank, peers, wishes, ports }));
  // What holds for the leader holds for the followers; theirs say what is their own.
  const [leader, ...followers] = specs;
  const known = new Set(leader!.reasons);
  return [
    leader!,
    ...followers.map((spec) => ({ ...spec, reasons: spec.reasons.filter((reason) => !known.has(reason)) })),
  ];
}

function planMember(
  draft: WorkerDraft,
  place: WorkerPlace,
  own: { member: Member; rank: number; peers: readonly Member[]; wishes: readonly PortWish[]; ports: PortPlan },
): ProcessSpec {
  const { name: worker, group, engine, settings } = draft;
  const { member, rank, peers, wishes, ports } = own;
  const { host } = member;
  const size = place.members.length;
  const leader = place.members[0]!;
  const isLeader = rank === 0;
  const startTimeoutMs = group.startTimeout ?? engine.defaults.startTimeoutMs;
  const drain = drainOf(group.drain, engine.defaults.drain);
  const { address } = host.facts;
  const listens = (purpose: string): boolean =>
    isLeader || wishes.find((wish) => wish.purpose === purpose)?.leaderOnly !== true;
  const ownPorts = Object.fromEntries(Object.entries(ports.ports).filter(([purpose]) => listens(purpose)));
  const drafted = engine.launch(
    { ...settings, env: { ...transportEnv(host.env), ...settings.env } },
    {
      address,
      ports: Object.fromEntries(Object.keys(ports.ports).map((purpose) => [purpose, portName(purpose)])),
      gpus: member.gpus,
      peerGpus: sorted(peers.filter((peer) => peer.host === host).flatMap((peer) => peer.gpus)),
      peerHosts: [...new Set(peers.map((peer) => peer.host.name))].filter((name) => name !== host.name),
      network: workerNetwork(host.facts, host.nics, member.gpus),
      node: size === 1 ? null : { rank, size, leaderAddress: leader.host.facts.address },
      drain,
      selfCommand: host.selfCommand,
      startTimeoutMs,
    },
  );
  const { portTexts, ...launch } = writeLaunchPorts(drafted, ports.ports, ownPorts);
  const fresh = freshPorts(
    wishes.filter((wish) => listens(wish.purpose)),
    ports,
    host.facts.ephemeralPorts.first,
  );
  const groupOf: GroupMember | undefined = size === 1 ? undefined : { name: worker, rank, size, leader: isLeader };
  return {
    name: isLeader ? worker : `${worker}-node${rank}`,
    role: group.role,
    host: host.name,
    model: settings.servedModelName,
    engine: engine.name,
    argv: launch.argv,
    env: { ...host.env, ...launch.env },
    cwd: null,
    ports: ownPorts,
    fixedPorts: ports.fixedPorts.filter(listens),
    ...(fresh.length > 0 ? { freshPorts: fresh } : {}),
    ...(portTexts.length > 0 ? { portTexts } : {}),
    gpus: member.gpus,
    url: settings.url ?? `http://${bracket(address)}:${ports.ports['http']}`,
    ...(engine.capabilities.external ? { external: true } : {}),
    // A follower has no server of its own, or one that answers whatever happens: the leader's readiness is the group's.
    readiness: isLeader ? engine.readiness(settings) : [],
    liveness: isLeader ? livenessOf(group.liveness, engine.defaults.liveness) : null,
    startTimeoutMs,
    restart: restartOf(group.restart),
    drain,
    kvTransfer: isLeader ? engine.kvTransfer(settings) : null,
    kvBlockSize: engine.kvBlockSize(settings),
    ...(isLeader && settings.modelConfig && engine.kvTransfer(settings)
      ? { hybridKv: settings.modelConfig.hybridKv }
      : {}),
    ...(groupOf ? { group: groupOf } : {}),
    ...(engine.command === null ? {} : { installHint: engine.command.installHint }),
    ...(launch.files === undefined ? {} : { files: launch.files }),
    reasons: explain(draft, place, own, launch),
  };
}

function explain(
  { name: worker, group, engine }: WorkerDraft,
  place: WorkerPlace,
  { member, rank, ports }: { member: Member; rank: number; ports: PortPlan },
  launch: EngineLaunch,
): string[] {
  const { host } = member;
  // What the recipe or the adapter says comes first.
  const fromHost = Object.keys(host.env).filter((name) => [undefined, host.env[name]].includes(launch.env[name]));
  const common = [...(fromHost.length === 0 ? [] : [`${fromHost.join(', ')} from the hosts file`]), ...launch.reasons];
  const gpus = member.gpus.length > 0 ? member.reason : explainNoGpu(engine, group.gpus);
  if (rank > 0)
    return [`rank ${rank} of ${worker}, on ${host.name}: starts, ends and restarts with it`, `has ${gpus}`, ...common];
  const where = engine.capabilities.external
    ? `somebody else runs it: the agent on ${host.name} looks at it and publishes it`
    : place.reason;
  return [where, gpus, ...ports.reasons, ...common, ...(engine.stopping === null ? [] : [engine.stopping])];
}

function explainNoGpu({ capabilities, name }: Engine, gpus: number | undefined): string {
  if (capabilities.external) return 'no GPU of this deployment';
  if (!capabilities.gpus) return 'no GPU: the simulated engine uses none';
  return gpus === 0 ? 'no GPU: the recipe says 0' : `no GPU: ${name} takes none unless \`gpus\` says so`;
}

/** What a host's network needs UCX and NCCL to know: the adapters explain it. */
function transportEnv(env: Readonly<Record<string, EnvValue>>): Record<string, EnvValue> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => /^(UCX|NCCL|GLOO|NVSHMEM)_/.test(name)));
}

function assignPorts(draft: WorkerDraft, { members }: WorkerPlace, wishes: readonly PortWish[]): PortPlan {
  const books = [...new Set(members.map(({ host }) => host.ports))];
  const plan: PortPlan = { ports: {}, fixedPorts: [], reasons: [] };
  for (const wish of wishes) {
    if (wish.purpose === 'http' && draft.group.port !== undefined) {
      plan.ports['http'] = draft.group.port + draft.replica;
      plan.fixedPorts.push('http');
      plan.reasons.push(`HTTP port ${plan.ports['http']}: the recipe says so`);
      continue;
    }
    const port = takeOnAll(books, wish.from, wish.count);
    plan.ports[wish.purpose] = port;
    const skipped = sorted(books.flatMap((book) => book.skipped()));
    const note = wish.moves === 'always' ? '; each restart takes another' : '';
    plan.reasons.push(`${explainPort(wish.purpose, port, wish.from, skipped)}${note}`);
  }
  return plan;
}

/** Ranges for the ports that restarts take anew: always, or when somebody else has them by then. */
function freshPorts(wishes: readonly PortWish[], { ports, fixedPorts }: PortPlan, ephemeral: number): FreshPort[] {
  return wishes.flatMap(({ purpose, count, from, moves }): FreshPort[] => {
    const port = ports[purpose];
    if (port === undefined || moves === undefined || fixedPorts.includes(purpose)) return [];
    const end = from + FRESH_RANGE - 1;
    const last = ephemeral > from ? Math.min(end, ephemeral - 1) : end;
    const range = { purpose, count, first: from, last: Math.max(last, port + count - 1) };
    return [moves === 'always' ? range : { ...range, whenTaken: true }];
  });
}

const sorted = (numbers: readonly number[]): number[] => [...new Set(numbers)].sort((a, b) => a - b);
