import type { ExitSnapshot } from '../deployment/snapshot.ts';
import type { ProcessSpec } from '../plan/launch-plan.ts';
import { decideRestart, describeExit, type RestartDecision } from '../supervise/restart-policy.ts';
import type { ShimExit } from '../supervise/shim-process.ts';
import type { ProcessContext } from './process-context.ts';

/** An end nobody asked for, as its process saw it. */
export interface Crash {
  exit: ShimExit;
  /** What is known beyond the exit status; null for nothing. */
  note: string | null;
  /** Null: it never was ready. */
  readyForMs: number | null;
  lines: string[];
}

/** What else is known of the incarnation that ended. */
export interface EndedIncarnation {
  incarnation: number;
  pid: number | null;
  killedBecause: string | null;
  /** What it waited for while it started; null for one that was ready. */
  wasDoing: string | null;
  logFile: string;
}

/** How a process ended last, what follows from it, and the crash report of it. */
export class ExitRecord {
  readonly #spec: ProcessSpec;
  readonly #context: ProcessContext;
  last: ExitSnapshot | null = null;

  constructor(spec: ProcessSpec, context: ProcessContext) {
    this.#spec = spec;
    this.#context = context;
  }

  /** It ended before the gang was committed: nothing follows but the end of the start. Returns how it ended. */
  recordFatal(crash: Crash, ended: EndedIncarnation): string {
    const how = describeCrash(crash);
    this.#record(crash, how, true, ended);
    return how;
  }

  /** Decides what follows by the restart policy, and keeps why. `attempt`: restarts made in this backoff run. */
  decide(crash: Crash, attempt: number, ended: EndedIncarnation): RestartDecision {
    const exit = { ...crash.exit, readyForMs: crash.readyForMs ?? 0 };
    const decision = decideRestart(this.#spec.restart, exit, attempt, this.#context.random());
    const reason = crash.note ? `${decision.reason} (${crash.note})` : decision.reason;
    this.#record(crash, reason, decision.action !== 'done', ended);
    return { ...decision, reason };
  }

  /** Keeps how it ended, and unless that was its own wish, reports it. */
  #record(crash: Crash, reason: string, unasked: boolean, ended: EndedIncarnation): void {
    const { exit, readyForMs, lines } = crash;
    const how = describeCrash(crash);
    const at = new Date().toISOString();
    const base = { code: exit.code, signal: exit.signal, at, reason, lastLines: lines };
    if (!unasked) {
      this.last = { ...base, cause: null, fix: null, report: null };
      return;
    }
    const news = this.#context.crashes.report(
      {
        ...{ spec: this.#spec, at, code: exit.code, signal: exit.signal, how, readyForMs, lastLines: lines, ...ended },
        peers: this.#context.peers(this.#spec),
      },
      (later) => {
        if (this.last?.at === at) this.last = { ...this.last, ...later };
        this.#context.changed();
      },
    );
    this.last = { ...base, ...news };
  }

  /** Says in the event log that it ended, and why, as far as anybody knows. */
  announce(what: string): void {
    this.#context.events.write('exited', what, this.#spec.name);
    if (!this.last?.cause) return;
    const where = this.last.report ? `. Report: ${this.last.report}` : '';
    this.#context.events.write('crash', `${this.last.cause}${where}`, this.#spec.name);
  }
}

const describeCrash = ({ exit, note }: Crash): string =>
  note ? `${describeExit(exit)} (${note})` : describeExit(exit);
