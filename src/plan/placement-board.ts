import type { GpuFacts } from '../hosts/host-facts.ts';
import { chooseGpus, type GpuChoice } from './choose-gpus.ts';
import { islandsOf } from './gpu-islands.ts';
import { formatLabels, hasLabels, type PlanHost } from './plan-hosts.ts';
import type { Resident, Unit, WorkerWish } from './worker-wish.ts';

interface Placed {
  members: { host: PlanHost; choice: GpuChoice | undefined }[];
  /** Why these hosts. */
  reason: string;
}

/** Who has what so far, and who goes where next. `packed`: into the fullest host that has room, instead of spreading. */
export class PlacementBoard {
  readonly places = new Map<Unit, Placed>();
  readonly #hosts: readonly PlanHost[];
  readonly #packed: boolean;
  readonly #residents: readonly Resident[];
  readonly #left: Map<PlanHost, GpuFacts[]>;

  constructor(hosts: readonly PlanHost[], packed: boolean, residents: readonly Resident[] = []) {
    this.#hosts = hosts;
    this.#packed = packed;
    this.#residents = residents;
    this.#left = new Map(hosts.map((host) => [host, [...host.freeGpus]]));
  }

  /** Returns who found no place. */
  placeAll(units: readonly Unit[]): WorkerWish | undefined {
    if (!this.#packed && this.#hosts.length > 1) this.#placeTogether(units);
    for (const unit of units) {
      if (this.places.has(unit)) continue;
      const placed = unit.wish.nodes > 1 ? this.#spanning(unit) : this.#alone(unit);
      if (!placed) return unit.wish;
      this.#put(unit, placed);
    }
    return undefined;
  }

  /** Models whose prefill and decode workers all fit on one host: their KV blocks then never leave it. */
  #placeTogether(units: readonly Unit[]): void {
    const exchanging = units.filter(({ wish }) => wish.role !== 'aggregated' && wish.count > 0);
    for (const family of Map.groupBy(exchanging, ({ wish }) => wish.model).values()) {
      if (family.some(({ wish }) => wish.nodes > 1)) continue;
      for (const host of this.#byLoad(this.#hosts)) {
        const choices = this.#chooseAll(family, host);
        if (!choices) continue;
        const reason = `runs on ${host.name} with all prefill and decode workers of ${family[0]!.wish.model}: they fit on one host, so KV blocks stay on it`;
        family.forEach((unit, index) => void this.#put(unit, { members: [{ host, choice: choices[index] }], reason }));
        break;
      }
    }
  }

  #chooseAll(family: readonly Unit[], host: PlanHost): GpuChoice[] | undefined {
    let left = this.#left.get(host) ?? [];
    const choices: GpuChoice[] = [];
    for (const { wish } of family) {
      const choice = hasLabels(host, wish.placement)
        ? chooseGpus(left, wish.count, wish.type, islandsOf(host.facts))
        : undefined;
      if (!choice) return undefined;
      left = left.filter((gpu) => !choice.gpus.includes(gpu));
      choices.push(choice);
    }
    return choices;
  }

  #alone(unit: Unit): Placed | undefined {
    const { wish } = unit;
    const labelled = this.#hosts.filter((host) => hasLabels(host, wish.placement));
    if (wish.external) return labelled[0] && { members: [{ host: labelled[0], choice: undefined }], reason: '' };
    const able = labelled.filter((host) => wish.count === 0 || this.#choose(wish, host));
    const host = this.#sortFor(wish, able)[0];
    if (!host) return undefined;
    return {
      members: [{ host, choice: wish.count === 0 ? undefined : this.#choose(wish, host) }],
      reason: this.#explain(wish, host, labelled, able),
    };
  }

  /** `nodes` hosts with GPUs of one type, out of one rack where that is possible. */
  #spanning({ wish }: Unit): Placed | undefined {
    const labelled = this.#hosts.filter((host) => hasLabels(host, wish.placement));
    const able = this.#byLoad(labelled).flatMap((host) => {
      const choice = wish.count === 0 ? undefined : this.#choose(wish, host);
      return choice || wish.count === 0 ? [{ host, choice }] : [];
    });
    for (const alike of Map.groupBy(able, ({ choice }) => choice?.gpus[0]?.name ?? '').values()) {
      const racks = Map.groupBy(
        alike.filter(({ host }) => host.labels['rack'] !== undefined),
        ({ host }) => host.labels['rack']!,
      );
      const rack = [...racks].find(([, within]) => within.length >= wish.nodes);
      const chosen = (rack?.[1] ?? alike).slice(0, wish.nodes);
      if (chosen.length < wish.nodes) continue;
      const kind =
        wish.count === 0 ? 'the least used' : `${wish.nodes} hosts with ${wish.count} free GPUs of one type each`;
      const where = rack ? `, all in rack ${rack[0]}` : racks.size > 0 ? ', as no one rack has so many' : '';
      return { members: chosen, reason: `spans ${chosen.map(({ host }) => host.name).join(', ')}: ${kind}${where}` };
    }
    return undefined;
  }

  #choose(wish: WorkerWish, host: PlanHost): GpuChoice | undefined {
    return chooseGpus(this.#left.get(host) ?? [], wish.count, wish.type, islandsOf(host.facts));
  }

  #put(unit: Unit, placed: Placed): void {
    this.places.set(unit, placed);
    for (const { host, choice } of placed.members) {
      const left = this.#left.get(host) ?? [];
      this.#left.set(
        host,
        left.filter((gpu) => !choice?.gpus.includes(gpu)),
      );
    }
  }

  /** Best first. Spread: fewest replicas of the group, then most peers to exchange KV cache with, then least used. */
  #sortFor(wish: WorkerWish, hosts: readonly PlanHost[]): PlanHost[] {
    if (this.#packed)
      return hosts.toSorted((a, b) => this.#freeOn(a) - this.#freeOn(b) || this.#workersOn(a) - this.#workersOn(b));
    const replicas = (host: PlanHost) => this.#countOn(host, (other) => other.group === wish.group);
    const peers = (host: PlanHost) => (wish.count === 0 ? 0 : this.#countOn(host, (other) => isPeer(other, wish)));
    return this.#byLoad(hosts).toSorted((a, b) => replicas(a) - replicas(b) || peers(b) - peers(a));
  }

  /** Those with the most free GPUs first, then those with the fewest workers. */
  #byLoad(hosts: readonly PlanHost[]): PlanHost[] {
    const used = (host: PlanHost) => host.freeGpus.length - this.#freeOn(host);
    return hosts.toSorted((a, b) => used(a) - used(b) || this.#workersOn(a) - this.#workersOn(b));
  }

  #freeOn(host: PlanHost): number {
    return this.#left.get(host)?.length ?? 0;
  }

  #workersOn(host: PlanHost): number {
    return this.#countOn(host, ({ external }) => !external);
  }

  #countOn(host: PlanHost, counts: (worker: Omit<Resident, 'host'>) => boolean): number {
    let number = this.#residents.filter((resident) => resident.host === host.name && counts(resident)).length;
    for (const [{ guests }, { members }] of this.places)
      if (members.some((member) => member.host === host)) number += guests.filter(counts).length;
    return number;
  }

  #explain(wish: WorkerWish, host: PlanHost, labelled: readonly PlanHost[], able: readonly PlanHost[]): string {
    if (this.#hosts.length === 1) return `runs on ${host.name}, the only host`;
    if (labelled.length === 1) return `runs on ${host.name}, the only host with ${formatLabels(wish.placement ?? {})}`;
    const type = wish.type === undefined ? '' : ` ${wish.type}`;
    if (able.length === 1)
      return `runs on ${host.name}: only there ${wish.count === 1 ? `is a free${type} GPU` : `are ${wish.count} free${type} GPUs that fit together`} left`;
    if (this.#packed) return `runs on ${host.name}: the fullest host that has room, as not all workers fit otherwise`;
    const replicas = this.#countOn(host, (other) => other.group === wish.group);
    const more = able.some((other) => this.#countOn(other, ({ group }) => group === wish.group) > replicas);
    if (more) return `runs on ${host.name}: it has the fewest replicas of its group, which are spread over hosts`;
    const peers = wish.count > 0 && this.#countOn(host, (other) => isPeer(other, wish)) > 0;
    return `runs on ${host.name}: ${peers ? 'near workers it exchanges KV cache with' : 'the least used of the hosts that suit'}`;
  }
}

const isPeer = (a: Omit<Resident, 'host'>, b: Omit<Resident, 'host'>): boolean =>
  a.model === b.model && a.role !== b.role && a.role !== 'aggregated' && b.role !== 'aggregated';
