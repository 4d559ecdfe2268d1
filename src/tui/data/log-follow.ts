import { pause } from '../../base/abort.ts';
import { readDeployment } from '../../deployment/local-view.ts';
import { type DeploymentLogs, openDeploymentLogs } from '../../deployment/logs/deployment-logs.ts';
import { LogHistory } from '../../deployment/logs/log-history.ts';

const LOOK_MS = 250;

export interface LogFollowOptions {
  deployment: string;
  /** Lines to begin with. */
  tail: number;
  /** Ends everything. */
  signal: AbortSignal;
  /** Lines of the log that is followed now, in order; the first call has its newest lines. */
  onLines(log: string, lines: readonly string[]): void;
  /** It cannot be read. */
  onProblem(error: unknown): void;
}

/** Follows one log of a deployment at a time, on whichever host it is. */
export class LogFollow {
  readonly #options: LogFollowOptions;
  #current = new AbortController();
  #opened: Promise<DeploymentLogs> | undefined;

  constructor(options: LogFollowOptions) {
    this.#options = options;
    options.signal.addEventListener('abort', () => void this.#end(), { once: true });
  }

  /** Null for none. */
  follow(log: string | null): void {
    this.#current.abort();
    this.#current = new AbortController();
    if (log !== null && !this.#options.signal.aborted) void this.#run(log, this.#current.signal);
  }

  async #run(log: string, signal: AbortSignal): Promise<void> {
    const { tail, onLines, onProblem } = this.#options;
    try {
      const { logs, here, unreachable } = await this.#open();
      const elsewhere = logs.get(log);
      if (!elsewhere && unreachable[0]) onProblem(unreachable[0].reason);
      const history = new LogHistory(elsewhere ?? here, log, { follows: true });
      for (let lines = await history.tail(tail); !signal.aborted; lines = await history.next()) {
        if (lines.length > 0)
          onLines(
            log,
            lines.map((line) => line.text),
          );
        await pause(LOOK_MS, signal);
      }
    } catch (error) {
      this.#opened = undefined; // the next log is looked for anew
      if (!signal.aborted) onProblem(error);
    }
  }

  #open(): Promise<DeploymentLogs> {
    this.#opened ??= Promise.resolve().then(() =>
      openDeploymentLogs(readDeployment(this.#options.deployment), this.#options.signal),
    );
    return this.#opened;
  }

  async #end(): Promise<void> {
    this.#current.abort();
    try {
      await (await this.#opened)?.[Symbol.asyncDispose]();
    } catch {
      // Links that are gone already.
    }
  }
}
