import { DynamoError, messageOf } from '../base/errors.ts';
import type { EngineHelp } from '../engines/engine.ts';
import { judgeVersion } from '../engines/engine-version.ts';
import { findEngine, isEngineName } from '../engines/find-engine.ts';
import { unknownFlags } from '../engines/flag-check.ts';
import type { ProcessSpec } from '../plan/launch-plan.ts';
import { askInstalledEngine, type InstalledEngine } from './installed-engine.ts';

export interface CheckFlagsOptions {
  /** Where answers of installed engines are kept. */
  cacheDir: string;
  environment(spec: ProcessSpec): NodeJS.ProcessEnv;
  /** Something the user should know: what is waited for, what could not be checked. */
  note(message: string): void;
  signal: AbortSignal;
}

/**
 * Compares the flags of every engine's command line with those the installed engine lists. Throws `RECIPE_INVALID` with each
 * unknown flag and the nearest name. An engine that cannot be asked is noted and not checked: it will speak for itself.
 * `DYNAMO_FLAG_CHECK=off` in the environment leaves the check out.
 */
export async function checkInstalledFlags(specs: readonly ProcessSpec[], options: CheckFlagsOptions): Promise<void> {
  const answers = new Map<string, Promise<InstalledEngine | undefined>>();
  const ask = (spec: ProcessSpec, help: EngineHelp): Promise<InstalledEngine | undefined> => {
    const key = JSON.stringify(help.help);
    const asked = answers.get(key) ?? askOnce(spec, help, options);
    answers.set(key, asked);
    return asked;
  };
  const details: string[] = [];
  const versions = new Set<string>();
  for (const spec of specs) {
    if (!isEngineName(spec.engine)) continue;
    const env = options.environment(spec);
    const help = env['DYNAMO_FLAG_CHECK'] === 'off' ? null : findEngine(spec.engine).help(spec.argv);
    if (!help) continue;
    const installed = await ask(spec, help);
    if (!installed) continue;
    checkVersion(spec, installed, help, options);
    const name = `${spec.engine}${installed.version === null ? '' : ` ${installed.version}`}`;
    // Words before the engine's own belong to what starts it; the help's command has one word more than these.
    const own = spec.argv.slice(help.help.length - 1);
    for (const { flag, meant } of unknownFlags(own, new Set(installed.flags))) {
      versions.add(name);
      const guess = meant === undefined ? '' : `; did you mean ${meant}?`;
      details.push(`${spec.name}: ${name} has no flag ${flag}${guess}`);
    }
  }
  if (details.length === 0) return;
  throw new DynamoError('RECIPE_INVALID', `${[...versions].join(', ')} does not take every flag of this plan`, {
    details,
    hint: 'Correct `args` in the recipe. A flag that dynamo added itself means that this engine is too old for it: upgrade it.',
  });
}

/** Throws `RECIPE_INVALID` for a version that is known not to do. One that nobody has seen yet is noted. */
function checkVersion(
  { name, engine }: ProcessSpec,
  { version }: InstalledEngine,
  { versions }: EngineHelp,
  options: CheckFlagsOptions,
): void {
  if (version === null || versions === null) return;
  const judged = judgeVersion(version, versions);
  if (judged.verdict === 'fits') return;
  if (judged.verdict === 'new') {
    options.note(`${engine} ${judged.text}: should something not fit, look there first`);
    return;
  }
  const install = isEngineName(engine) ? findEngine(engine).command?.installHint : undefined;
  throw new DynamoError('RECIPE_INVALID', `${name}: ${engine} ${judged.text}`, {
    hint: `${install ?? 'Upgrade it.'} DYNAMO_FLAG_CHECK=off starts it all the same.`,
  });
}

async function askOnce(
  spec: ProcessSpec,
  help: EngineHelp,
  options: CheckFlagsOptions,
): Promise<InstalledEngine | undefined> {
  try {
    return await askInstalledEngine(help, {
      cacheDir: options.cacheDir,
      env: options.environment(spec),
      signal: options.signal,
      onAsking: () => options.note(`asking ${help.help[0]} once which flags it knows; this can take a minute`),
    });
  } catch (error) {
    if (options.signal.aborted) throw error;
    options.note(`flags of ${spec.engine} were not checked: ${messageOf(error)}`);
    return undefined;
  }
}
