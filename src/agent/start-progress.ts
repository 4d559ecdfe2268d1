import { findEngine, isEngineName } from '../engines/find-engine.ts';
import { type StartPhase, startPhase } from '../engines/start-phase.ts';
import type { ProcessSpec } from '../plan/launch-plan.ts';

/** A line of output is shown up to here. */
const LONGEST_LINE = 120;

/** Tells from its output what a starting process is doing. */
export class StartProgress {
  readonly #spec: ProcessSpec;
  #phase: StartPhase | undefined;

  constructor(spec: ProcessSpec) {
    this.#spec = spec;
  }

  /** Takes up its newest lines: what they tell of the phase, and the last of them. */
  read(lines: readonly string[]): { phase: StartPhase | undefined; line: string | undefined } {
    const { engine } = this.#spec;
    const phases = isEngineName(engine) ? findEngine(engine).phases : [];
    // A phase lasts until another one is named, also when its line has left the newest ones.
    this.#phase = startPhase(phases, lines) ?? this.#phase;
    // A progress bar redraws its line: the newest state stands last.
    const line = lines.at(-1)?.trim().split('\r').at(-1)?.slice(0, LONGEST_LINE);
    return { phase: this.#phase, line: line || undefined };
  }
}
