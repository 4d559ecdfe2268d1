import { gpuShortage } from './gpu-shortage.ts';
import { PlacementBoard } from './placement-board.ts';
import type { PlanHost } from './plan-hosts.ts';
import type { Resident, Unit, WorkerWish } from './worker-wish.ts';

/** Where a worker runs. */
export interface WorkerPlace {
  /** Its hosts, the leader's first, with the GPUs on each. */
  members: { host: PlanHost; gpus: number[]; reason: string }[];
  /** Why these hosts. */
  reason: string;
  /** How many workers of its GPU start before it. */
  turn: number;
}

type Order = (a: Unit, b: Unit) => number;

/** Who is particular about GPU type or host chooses before who is not. */
const particular = ({ wish }: Unit): number => (wish.type === undefined && !wish.placement ? 0 : 1);
const gpusOf = ({ wish }: Unit): number => wish.count * wish.nodes;
const LARGEST_FIRST: Order = (a, b) => gpusOf(b) - gpusOf(a) || particular(b) - particular(a);
const PARTICULAR_FIRST: Order = (a, b) => particular(b) - particular(a) || gpusOf(b) - gpusOf(a);

/**
 * Tried in turn until everybody has a place. `together`: the prefill and decode workers of a model on one host where they all
 * fit; whoever is left is spread, so that a lost host takes few replicas of a group. `packed`: into the fullest host that still
 * has room, which finds a place where spreading leaves too small holes.
 */
const ATTEMPTS: readonly { order: Order; packed: boolean }[] = [
  { order: LARGEST_FIRST, packed: false },
  { order: PARTICULAR_FIRST, packed: false },
  { order: LARGEST_FIRST, packed: true },
  { order: PARTICULAR_FIRST, packed: true },
];

/**
 * Gives each worker its hosts and GPUs. `residents`: who runs there already; their GPUs are not among the free ones. Pure. Throws
 * `GPU_UNAVAILABLE` with what is wanted, by whom, and what is there.
 */
export function placeWorkers(
  wishes: readonly WorkerWish[],
  hosts: readonly PlanHost[],
  residents: readonly Resident[] = [],
): Map<string, WorkerPlace> {
  const units = shareOut(wishes);
  let failed: WorkerWish | undefined;
  for (const { order, packed } of ATTEMPTS) {
    const board = new PlacementBoard(hosts, packed, residents);
    const lost = board.placeAll(units.toSorted(order));
    if (lost === undefined) return describePlaces(units, board);
    failed ??= lost;
  }
  throw gpuShortage(wishes, hosts, failed!);
}

/** Workers that share, by the one of them that stands for all. */
function shareOut(wishes: readonly WorkerWish[]): Unit[] {
  const units: Unit[] = [];
  const alike = (a: WorkerWish, b: WorkerWish): boolean =>
    a.model === b.model &&
    a.sharing === b.sharing &&
    a.count === b.count &&
    a.type === b.type &&
    JSON.stringify(a.placement) === JSON.stringify(b.placement);
  for (const wish of wishes) {
    const mate =
      wish.sharing > 1 ? units.find((unit) => alike(unit.wish, wish) && unit.guests.length < wish.sharing) : undefined;
    if (mate) mate.guests.push(wish);
    else units.push({ wish, guests: [wish] });
  }
  return units;
}

function describePlaces(units: readonly Unit[], board: PlacementBoard): Map<string, WorkerPlace> {
  const result = new Map<string, WorkerPlace>();
  for (const unit of units) {
    const placed = board.places.get(unit);
    if (!placed) continue;
    const names = unit.guests.map((guest) => guest.worker);
    names.forEach((name, turn) => {
      const others = names.filter((other) => other !== name);
      const shared = others.length === 0 ? '' : `; shared with ${others.join(', ')}`;
      const members = placed.members.map(({ host, choice }) => ({
        host,
        gpus: choice?.gpus.map((gpu) => gpu.index) ?? [],
        reason: choice ? `${choice.reason}${shared}` : '',
      }));
      result.set(name, { members, reason: placed.reason, turn });
    });
  }
  return result;
}
