/** What a starting engine is busy with, as far as its output tells. */
export type StartPhase = 'import' | 'download' | 'weights' | 'compile' | 'memory' | 'capture' | 'warm-up';

/** A line that says that a phase has begun. */
export interface PhaseSignature {
  pattern: RegExp;
  phase: StartPhase;
}

/** In words: `waiting for GET /health, loading weights`. */
export const PHASE_WORDS: Readonly<Record<StartPhase, string>> = {
  import: 'importing its libraries',
  download: 'downloading the model',
  weights: 'loading weights',
  compile: 'compiling',
  memory: 'sizing its KV cache',
  capture: 'capturing GPU graphs',
  'warm-up': 'warming up',
};

/** The phase of the last line that names one; `undefined` when none of these lines does. */
export function startPhase(signatures: readonly PhaseSignature[], lines: readonly string[]): StartPhase | undefined {
  for (const line of lines.toReversed()) {
    const found = signatures.find(({ pattern }) => pattern.test(line));
    if (found) return found.phase;
  }
  return undefined;
}
