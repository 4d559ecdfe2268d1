import { formatDuration } from '../base/duration.ts';
import { findEngine, isEngineName } from '../engines/find-engine.ts';
import { PHASE_WORDS, type StartPhase, startPhase } from '../engines/start-phase.ts';
import type { ProcessSpec } from '../plan/launch-plan.ts';

/** A line of output is shown up to here. */
const LONGEST_LINE = 120;

/** Tells from its output what a starting process is doing. */
export class StartProgress {
  readonly #spec: ProcessSpec;
  #phase: StartPhase | undefined;
  #phaseSinceMs = 0;
  #line: string | undefined;
  #lineSinceMs = 0;

  constructor(spec: ProcessSpec) {
    this.#spec = spec;
  }

  /** Takes up its newest lines: what they tell of the phase, and the last of them. `nowMs` is monotonic. */
  read(lines: readonly string[], nowMs: number): { phase: StartPhase | undefined; line: string | undefined } {
    const { engine } = this.#spec;
    const phases = isEngineName(engine) ? findEngine(engine).phases : [];
    // A phase lasts until another one is named, also when its line has left the newest ones.
    const phase = startPhase(phases, lines) ?? this.#phase;
    if (phase !== this.#phase) this.#phaseSinceMs = nowMs;
    this.#phase = phase;
    // A progress bar redraws its line: the newest state stands last.
    const line = lines.at(-1)?.trim().split('\r').at(-1)?.slice(0, LONGEST_LINE);
    if (line !== this.#line) this.#lineSinceMs = nowMs;
    this.#line = line;
    return { phase, line: line || undefined };
  }

  /** `It was loading weights for 9 min 12 s. Its last line, 8 min 50 s before, was: …`: for one that never became ready. */
  describe(nowMs: number): string {
    const doing = this.#phase ? `It was ${PHASE_WORDS[this.#phase]} for ${ago(this.#phaseSinceMs)}. ` : '';
    return this.#line
      ? `${doing}Its last line, ${ago(this.#lineSinceMs)} before, was: ${this.#line}`
      : `${doing}It printed nothing.`;

    function ago(sinceMs: number): string {
      return formatDuration(nowMs - sinceMs);
    }
  }
}
