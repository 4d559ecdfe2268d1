import { messageOf } from '../../base/errors.ts';
import type { EventLog } from '../../supervise/event-log.ts';
import { lookAtMachine, writeCrashReport } from './crash-files.ts';
import { type CrashFacts, judgeCrash } from './crash-report.ts';
import type { CrashVerdict } from './crash-verdict.ts';

/** What is known of a crash, and the path of its report; null when that could not be written. */
export interface CrashNews extends CrashVerdict {
  report: string | null;
}

type KnownFacts = Omit<CrashFacts, 'gpus' | 'kernelLines'>;

/** Writes a report of each crash: at once, and again when the GPUs and the kernel have been asked. */
export class CrashReporter {
  readonly #folder: string;
  readonly #events: EventLog;
  readonly #look: typeof lookAtMachine;
  readonly #pending = new Set<Promise<void>>();

  /** `look`: asks GPUs and kernel. */
  constructor(folder: string, events: EventLog, look: typeof lookAtMachine = lookAtMachine) {
    this.#folder = folder;
    this.#events = events;
    this.#look = look;
  }

  /** Returns what is known at once; `onMore` is called when the machine had more to say. Never throws. */
  report(facts: KnownFacts, onMore: (news: CrashNews) => void): CrashNews {
    const first = this.#write({ ...facts, gpus: null, kernelLines: [] });
    const looking = this.#look(facts.spec.gpus)
      .then((more) => {
        if (facts.spec.gpus.length > 0 || more.kernelLines.length > 0) onMore(this.#write({ ...facts, ...more }));
      })
      .catch((error: unknown) => this.#events.write('crash-report', messageOf(error), facts.spec.name));
    this.#pending.add(looking);
    void looking.then(() => this.#pending.delete(looking));
    return first;
  }

  /** Resolves when every report is complete. */
  async settled(): Promise<void> {
    await Promise.all(this.#pending);
  }

  #write(facts: CrashFacts): CrashNews {
    const verdict = judgeCrash(facts);
    try {
      return { ...verdict, report: writeCrashReport(this.#folder, facts) };
    } catch (error) {
      this.#events.write('crash-report', messageOf(error), facts.spec.name);
      return { ...verdict, report: null };
    }
  }
}
