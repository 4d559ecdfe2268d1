import { pause } from '../../base/abort.ts';
import { readDeployment } from '../../deployment/local-view.ts';
import { type DeploymentLogs, openDeploymentLogs } from '../../deployment/logs/deployment-logs.ts';
import type { LogFiles } from '../../deployment/logs/log-files.ts';
import { type LoggedLine, LogHistory } from '../../deployment/logs/log-history.ts';

const LOOK_MS = 250;
/** Between tries to reach a host again. */
const RETRY_MS = 2_000;

export interface LogFollowOptions {
  deployment: string;
  /** Lines to begin with. */
  tail: number;
  /** Ends everything. */
  signal: AbortSignal;
  /** Lines of the log that is followed now, in order; the first call has its newest lines. */
  onLines(log: string, lines: readonly string[]): void;
  /** It cannot be read now; it is tried again. */
  onProblem(error: unknown): void;
  /** In place of the deployment's own hosts. */
  open?(signal: AbortSignal): Promise<DeploymentLogs>;
  retryMs?: number;
}

/** Follows one log of a deployment at a time, on whichever host it is. A link that is lost is made again, and no line comes twice. */
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
    /** Once its newest lines were shown. */
    let shown: LogHistory | undefined;
    let said = false;
    while (!signal.aborted) {
      const opened = this.#open();
      try {
        const begun = shown?.position;
        const from = begun === undefined ? {} : { from: begun };
        const history = new LogHistory(filesOf(await opened, log), log, { follows: true, ...from });
        const first = await (begun === undefined ? history.tail(this.#options.tail) : history.next());
        shown = history;
        await this.#follow(history, first, signal);
      } catch (error) {
        if (signal.aborted) return;
        if (!said) this.#options.onProblem(error);
        said = true;
        if (this.#opened === opened) this.#opened = undefined;
        void opened.then((logs) => logs[Symbol.asyncDispose]()).catch(() => {}); // its links are of no use any more
        await pause(this.#options.retryMs ?? RETRY_MS, signal);
      }
    }
  }

  async #follow(history: LogHistory, first: readonly LoggedLine[], signal: AbortSignal): Promise<void> {
    for (let lines = first; !signal.aborted; lines = await history.next()) {
      if (lines.length > 0)
        this.#options.onLines(
          history.process,
          lines.map((line) => line.text),
        );
      await pause(LOOK_MS, signal);
    }
  }

  #open(): Promise<DeploymentLogs> {
    const { deployment, open, signal } = this.#options;
    this.#opened ??= Promise.resolve().then(() =>
      open ? open(signal) : openDeploymentLogs(readDeployment(deployment), signal),
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

/** A log that nobody has seen is here, or will be; unless a host does not answer: then it may be there. */
function filesOf({ logs, here, unreachable }: DeploymentLogs, log: string): LogFiles {
  const found = logs.get(log);
  if (found) return found;
  if (log !== 'controller' && unreachable[0]) throw unreachable[0].reason;
  return here;
}
