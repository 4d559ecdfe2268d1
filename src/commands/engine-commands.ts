import { findEngine } from '../engines/find-engine.ts';
import { ENGINE_NAMES } from '../recipe/schema.ts';

/** Programs of all engines: what facts of a host must tell the place of. */
export function engineCommands(): string[] {
  return ENGINE_NAMES.flatMap((name) => findEngine(name).command?.name ?? []);
}
