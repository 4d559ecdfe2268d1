import { badParameter, badRequest } from './api-error.ts';

/** Throws vLLM's 400 for sampling settings out of range. The simulated model takes no notice of those in range. */
export function checkSampling(body: Readonly<Record<string, unknown>>, n: number): void {
  const { temperature, top_p: topP } = body;
  if (typeof temperature === 'number') {
    if (temperature < 0) refuse('temperature', 'non-negative', temperature);
    if (temperature > 2) refuse('temperature', 'in [0, 2]', temperature);
    if (temperature === 0 && n > 1) throw badRequest(`n must be 1 when using greedy sampling, got ${n}.`);
  }
  if (typeof topP === 'number' && (topP <= 0 || topP > 1)) refuse('top_p', 'in (0, 1]', topP);
}

function refuse(field: string, range: string, value: number): never {
  const shown = Number.isInteger(value) ? value.toFixed(1) : String(value);
  throw badParameter(`${field} must be ${range}, got ${shown}.`, field, shown);
}
