import { DynamoError } from '../base/errors.ts';
import type { FreshPort, ProcessSpec } from '../plan/launch-plan.ts';
import { movePort } from '../plan/move-port.ts';
import { portRun } from '../plan/port-run.ts';
import type { EventLog } from '../supervise/event-log.ts';
import { describeHolder } from './describe-holder.ts';
import { tryBind } from './try-bind.ts';

/** Whether a port can be listened on at an address; undefined when it can. */
export type TryPort = (port: number, host: string) => Promise<string | undefined>;

/**
 * Chooses other ports for processes that start again, where the plan asks for it: a peer that still addresses the process
 * before must find nobody there, not another one; and a process need not wait for a port that a stranger has taken meanwhile.
 * Ports that other processes of this agent have, running or not, are left to them.
 */
export class FreshPorts {
  readonly #specs: () => readonly ProcessSpec[];
  readonly #events: Pick<EventLog, 'write'>;
  readonly #tryPort: TryPort;
  /** Chosen, but perhaps not in the journal yet. */
  readonly #claims = new Map<string, number[]>();

  constructor(specs: () => readonly ProcessSpec[], events: Pick<EventLog, 'write'>, tryPort: TryPort = tryBind) {
    this.#specs = specs;
    this.#events = events;
    this.#tryPort = tryPort;
  }

  /**
   * What the next incarnation is started with. `lives` is how many were started with ports of their own since these were planned:
   * 1, or more for a name that was used before. `mayMove`: whether those are chosen anew that a stranger has taken. Throws
   * `PORT_IN_USE` when no port of the range is left.
   */
  async renew(spec: ProcessSpec, lives = 1, mayMove = true): Promise<ProcessSpec> {
    const freshPorts = (spec.freshPorts ?? []).filter(({ whenTaken }) => mayMove || !whenTaken);
    if (freshPorts.length === 0) return spec;
    const claimed: number[] = [];
    this.#claims.set(spec.name, claimed);
    let next = spec;
    for (const fresh of freshPorts) {
      const { purpose } = fresh;
      const old = spec.ports[purpose]!;
      const why = fresh.whenTaken ? await this.#whyTaken(spec, fresh) : '';
      if (why === undefined) continue;
      const port = await this.#find(spec, fresh, fresh.whenTaken ? 1 : lives, claimed);
      this.#events.write('port', `its next life gets ${purpose} port ${port}, not ${old}${why}`, spec.name);
      next = movePort(next, purpose, port);
    }
    return next;
  }

  /** Undefined when it can have the port again. */
  async #whyTaken(spec: ProcessSpec, { purpose, count }: FreshPort): Promise<string | undefined> {
    const host = new URL(spec.url).hostname;
    for (const port of portRun(spec.ports[purpose]!, count))
      if ((await this.#tryPort(port, host)) === 'in use') return `, which is ${describeHolder(port)}`;
    return undefined;
  }

  async #find(spec: ProcessSpec, fresh: FreshPort, lives: number, claimed: number[]): Promise<number> {
    const { purpose, count, first, last } = fresh;
    const own = portRun(spec.ports[purpose] ?? first, count);
    const host = new URL(spec.url).hostname;
    // Above those that others have, too: below may lie the port of a life of theirs that a peer still addresses.
    const above = fresh.whenTaken ? 0 : 1 + Math.max(0, ...this.#heldByOthers(spec, fresh));
    for (const start of candidates(Math.max(own[0]! + lives * count, above), fresh)) {
      const run = portRun(start, count);
      const avoided = this.#taken(spec);
      if (run.some((port) => avoided.has(port) || claimed.includes(port))) continue;
      claimed.push(...run);
      const problems = await Promise.all(run.map((port) => this.#tryPort(port, host)));
      if (problems.every((problem) => problem === undefined)) return start;
      claimed.splice(-count);
    }
    throw new DynamoError('PORT_IN_USE', `no other free port from ${first} to ${last} for ${purpose} of ${spec.name}`);
  }

  /** Ports of this purpose in the same range. */
  #heldByOthers(spec: ProcessSpec, { purpose, first, last }: FreshPort): number[] {
    return this.#specs().flatMap(({ name, ports, freshPorts = [] }) => {
      const port = ports[purpose];
      if (name === spec.name || port === undefined || port < first || port > last) return [];
      return [port + (freshPorts.find((fresh) => fresh.purpose === purpose)?.count ?? 1) - 1];
    });
  }

  /** Its own of now are among them: no purpose gets the port that another had. */
  #taken(spec: ProcessSpec): Set<number> {
    const others = this.#specs().filter(({ name }) => name !== spec.name);
    return new Set([
      ...[spec, ...others].flatMap(({ ports, freshPorts = [] }) =>
        Object.entries(ports).flatMap(([purpose, port]) =>
          portRun(port, freshPorts.find((fresh) => fresh.purpose === purpose)?.count ?? 1),
        ),
      ),
      ...[...this.#claims].flatMap(([name, ports]) => (name === spec.name ? [] : ports)),
    ]);
  }
}

/** Every start of a run within the range, once round, from `from` on. */
function* candidates(from: number, { count, first, last }: FreshPort): Generator<number> {
  const size = last - count + 1 - first + 1;
  for (let step = 0; step < size; step += 1) yield first + ((((from - first + step) % size) + size) % size);
}
