import type { FreshPort, ProcessSpec } from './launch-plan.ts';

/**
 * A process on another port than it was planned with: in its ports, its environment or the flag that names it, and for `http` in
 * its URL. Pure. Throws when the flag does not name the port: the process would listen where nobody looks.
 */
export function movePort(
  spec: ProcessSpec,
  { purpose, env, flag }: Pick<FreshPort, 'purpose' | 'env' | 'flag'>,
  port: number,
): ProcessSpec {
  const old = spec.ports[purpose];
  return {
    ...spec,
    ports: { ...spec.ports, [purpose]: port },
    ...(env === undefined ? {} : { env: { ...spec.env, [env]: String(port) } }),
    ...(flag === undefined || old === undefined ? {} : { argv: withFlagPort(spec, flag, old, port) }),
    ...(purpose === 'http' ? { url: spec.url.replace(/:\d+$/, `:${port}`) } : {}),
  };
}

/** The last word of that flag counts: a command in place of the engine's own may have flags before it. */
function withFlagPort({ argv, name }: ProcessSpec, flag: string, old: number, port: number): string[] {
  const at = argv.lastIndexOf(flag) + 1;
  // Alone, behind an address, or behind an address in JSON.
  const pattern = new RegExp(`(^|:)${old}(?!\\d)`, 'g');
  const word = at === 0 ? undefined : argv[at];
  const moved = word?.replace(pattern, `$1${port}`);
  if (moved === undefined || moved === word) throw new Error(`${flag} of ${name} does not name port ${old}`);
  return argv.with(at, moved);
}
