import { processLog } from '../deployment/state-dir.ts';
import type { ProcessSpec } from '../plan/launch-plan.ts';
import { lastLines } from '../supervise/log-tail.ts';
import type { ProcessContext } from './process-context.ts';
import { FAR_BYTES, FAR_LINES, tellingLines } from './telling-lines.ts';

/** What the newest incarnation of a process has printed. */
export class ProcessOutput {
  /** Of all its incarnations. */
  readonly file: string;
  readonly #spec: Pick<ProcessSpec, 'name' | 'engine'>;
  readonly #context: Pick<ProcessContext, 'paths' | 'journal'>;

  constructor(spec: Pick<ProcessSpec, 'name' | 'engine'>, context: Pick<ProcessContext, 'paths' | 'journal'>) {
    this.file = processLog(context.paths, spec.name);
    this.#spec = spec;
    this.#context = context;
  }

  /** Its newest `count` lines, oldest first. */
  last(count: number, maxBytes?: number): string[] {
    return lastLines(this.file, count, this.#context.journal.process(this.#spec.name).logOffset, maxBytes);
  }

  /** Its newest `count` lines, and before them one further above that shows a known cause. */
  telling(count: number): string[] {
    return tellingLines(this.#spec, this.last(FAR_LINES, FAR_BYTES), count);
  }
}
