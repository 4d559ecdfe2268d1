import type { DeploymentSnapshot } from '../deployment/snapshot.ts';
import type { EventRecord } from '../supervise/protocol.ts';
import { CopyDisplay, drawingTerminal } from './copy-display.ts';
import { describeObstacles, type Obstacle } from './obstacles.ts';
import { readyLines, SnapshotLines } from './start-lines.ts';

/** What `serve` prints. Without a screen this is everything a user sees. */
export interface ServeOutput {
  /** A line for people. */
  say(text: string): void;
  /** It waits for what others have. */
  waiting(obstacles: readonly Obstacle[], waitedMs: number): void;
  snapshot(snapshot: DeploymentSnapshot, sinceMs: number): void;
  /** `announced`: it was ready before this. */
  event(event: EventRecord, announced: boolean): void;
  /** It serves; `newMs` is how long a start took, null when it ran already. */
  ready(snapshot: DeploymentSnapshot, tookMs: number, newMs: number | null): void;
  /** Something else draws on the terminal, or this is over: nothing of it that is not a line may stay. */
  close(): void;
}

/** Lines on standard output. */
export class LineOutput implements ServeOutput {
  readonly #lines = new SnapshotLines();
  readonly #copies = new CopyDisplay({
    terminal: drawingTerminal(process.env),
    env: process.env,
    say: (text) => void process.stdout.write(`${text}\n`),
  });
  readonly #detaches: boolean;

  constructor(options: { detaches: boolean }) {
    this.#detaches = options.detaches;
  }

  say(text: string): void {
    this.#copies.around(() => process.stdout.write(`${text}\n`));
  }

  close(): void {
    this.#copies.close();
  }

  waiting(obstacles: readonly Obstacle[]): void {
    this.say(`waiting: ${describeObstacles(obstacles)}`);
  }

  snapshot(snapshot: DeploymentSnapshot, sinceMs: number): void {
    this.#copies.take(snapshot);
    for (const line of this.#lines.next(snapshot, sinceMs)) this.say(line);
  }

  event(event: EventRecord, announced: boolean): void {
    if (announced && event.type !== 'state' && event.type !== 'published')
      this.say(`${event.process ? `${event.process}: ` : ''}${event.message}`);
  }

  ready(snapshot: DeploymentSnapshot, _tookMs: number, newMs: number | null): void {
    for (const line of readyLines(snapshot, newMs)) this.say(line);
    const { name } = snapshot;
    this.say(this.#detaches ? goesOn(name) : `Ctrl-C stops everything. Logs: dynamo logs ${name} -f`);
  }
}

/** How to come back to a deployment that is left running. */
export const goesOn = (name: string): string =>
  `It goes on running. Look: dynamo status ${name}. Stop: dynamo stop ${name}`;

/** One JSON object a line on standard output, lines for people on standard error. */
export class JsonOutput implements ServeOutput {
  say(text: string): void {
    process.stderr.write(`${text}\n`);
  }

  waiting(obstacles: readonly Obstacle[], waitedMs: number): void {
    this.#print({ type: 'waiting', obstacles, waitedMs });
  }

  snapshot(snapshot: DeploymentSnapshot): void {
    this.#print({ type: 'snapshot', snapshot });
  }

  event(event: EventRecord): void {
    this.#print({ type: 'event', event });
  }

  ready({ endpoint, models }: DeploymentSnapshot, tookMs: number): void {
    this.#print({ type: 'ready', endpoint, models, tookMs: Math.round(tookMs) });
  }

  close(): void {}

  #print(object: object): void {
    process.stdout.write(`${JSON.stringify(object)}\n`);
  }
}
