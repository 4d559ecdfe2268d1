import type { EngineFacts } from '../host-facts.ts';
import { PROBED_ENGINES } from './probe-script.ts';

/**
 * Installed engines from the probe: a line `program|path`, then the names of the packages beside it
 * (`vllm-0.11.0.dist-info`), or, for engines that are no Python packages, what `--version` printed.
 */
export function parseEngines(lines: readonly string[]): Record<string, EngineFacts> {
  const found: Record<string, EngineFacts> = {};
  let current: { facts: EngineFacts; distribution: string | null } | undefined;
  for (const line of lines) {
    const [program = '', ...rest] = line.split('|');
    const known = PROBED_ENGINES.find((engine) => engine.program === program);
    if (known && rest.length > 0) {
      current = { facts: { path: rest.join('|'), version: null, packages: {} }, distribution: known.distribution };
      found[program] = current.facts;
    } else if (current) takeLine(line, current.facts, current.distribution);
  }
  return found;
}

function takeLine(line: string, facts: EngineFacts, distribution: string | null): void {
  if (distribution === null) {
    // `version: 6200 (abcdef)`
    facts.version ??= /^version: (\S+)/.exec(line)?.[1] ?? null;
    return;
  }
  const [, name = '', version] = /^(.+?)-([^-]+)\.dist-info$/.exec(line) ?? [];
  if (version === undefined) return;
  if (name === distribution) facts.version ??= version;
  else facts.packages[name] ??= version;
}
