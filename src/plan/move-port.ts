import type { ProcessSpec } from './launch-plan.ts';
import { namesPort, writePorts } from './port-texts.ts';

/**
 * A process on another port than it was planned with: in its ports, in all of argv and environment that names it, and for `http` in
 * its URL. Pure. Throws when nothing names the port: the process would listen where nobody looks.
 */
export function movePort(spec: ProcessSpec, purpose: string, port: number): ProcessSpec {
  const ports = { ...spec.ports, [purpose]: port };
  const texts = (spec.portTexts ?? []).filter(({ text }) => namesPort(text, purpose));
  if (texts.length === 0) throw new Error(`nothing that ${spec.name} is started with names its ${purpose} port`);
  const argv = [...spec.argv];
  const env = { ...spec.env };
  for (const place of texts) {
    const text = writePorts(place.text, ports);
    if ('word' in place) argv[place.word] = text;
    else env[place.env] = text;
  }
  const { protocol, hostname } = new URL(spec.url);
  return { ...spec, argv, env, ports, ...(purpose === 'http' ? { url: `${protocol}//${hostname}:${port}` } : {}) };
}
