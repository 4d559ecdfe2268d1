import { readJsonFile, writeFileAtomic } from '../../base/atomic-file.ts';
import { DynamoError, messageOf } from '../../base/errors.ts';
import { type ProcessIdentity, parseIdentity } from '../../supervise/identity.ts';

/** A hook that was started and not seen to end. */
export interface RunningHook {
  event: string;
  runId: string;
  /** The controller that waits for it. */
  by: ProcessIdentity;
}

interface LedgerState {
  /** Generations for which they were started last. */
  ready: number;
  stopped: number;
  /** Processes whose failure was told, as `NAME#MOMENT`, of its end. */
  failed: string[];
  running: RunningHook[];
}

/** Which hooks have been started for what, over controllers: `hooks.json`. Written before a hook starts. */
export class HookLedger {
  readonly #file: string;
  readonly #onProblem: (message: string) => void;
  #state: LedgerState;

  constructor(file: string, onProblem: (message: string) => void) {
    this.#file = file;
    this.#onProblem = onProblem;
    this.#state = this.#read();
  }

  get state(): Readonly<LedgerState> {
    return this.#state;
  }

  /** In memory whatever becomes of the file: at worst a later controller runs a hook once more. */
  change(change: Partial<LedgerState>): void {
    this.#state = { ...this.#state, ...change };
    try {
      writeFileAtomic(this.#file, JSON.stringify(this.#state), { durable: false });
    } catch (error) {
      this.#onProblem(messageOf(error));
    }
  }

  #read(): LedgerState {
    let read: unknown;
    try {
      read = readJsonFile(this.#file);
    } catch (error) {
      if (!(error instanceof DynamoError)) throw error;
      this.#onProblem(error.message);
    }
    const { ready, stopped, failed, running } = (read ?? {}) as Partial<Record<keyof LedgerState, unknown>>;
    return {
      ready: typeof ready === 'number' ? ready : 0,
      stopped: typeof stopped === 'number' ? stopped : 0,
      failed: Array.isArray(failed) ? failed.map(String) : [],
      running: Array.isArray(running) ? running.flatMap(parseRunning) : [],
    };
  }
}

function parseRunning(value: unknown): RunningHook[] {
  const { event, runId, by } = (value ?? {}) as Partial<Record<keyof RunningHook, unknown>>;
  const identity = parseIdentity(by);
  return typeof event === 'string' && typeof runId === 'string' && identity ? [{ event, runId, by: identity }] : [];
}
