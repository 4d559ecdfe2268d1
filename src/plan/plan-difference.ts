import type { LaunchPlan, PortText, ProcessSpec } from './launch-plan.ts';
import { HOOK_EVENTS, shownHook } from './plan-hooks.ts';
import { withoutNumbers } from './port-texts.ts';
import { maskEnvValue } from './secrets.ts';
import { membersOf } from './worker-group.ts';

/**
 * What changed from one plan to another, a line each, for people. Ports that dynamo chose itself do not count, since each
 * planning may choose others; what the user wrote does. Empty when nothing of substance differs.
 */
export function planDifference(planBefore: LaunchPlan, planAfter: LaunchPlan): string[] {
  const [before, after] = [withoutChosenEndpoints(planBefore), withoutChosenEndpoints(planAfter)];
  const lines: string[] = [];
  const say = (what: string, a: unknown, b: unknown): void => {
    const [left, right] = [show(a), show(b)];
    if (left !== right) lines.push(`${what}: ${left} → ${right}`);
  };
  say('models', before.models, after.models);
  say('discovery', before.discovery, after.discovery);
  say('startLeaseMs', before.startLeaseMs, after.startLeaseMs);
  for (const event of HOOK_EVENTS) say(`hooks.${event}`, shownHook(before, event), shownHook(after, event));
  const old = new Map(withGroupPorts(before.processes).map((spec) => [spec.name, spec]));
  for (const spec of withGroupPorts(after.processes)) {
    const match = old.get(spec.name);
    old.delete(spec.name);
    if (match) compareProcesses(match, spec, say);
    else lines.push(`${spec.name}: new (${spec.role}${spec.model === null ? '' : `, ${spec.model}`})`);
  }
  for (const name of old.keys()) lines.push(`${name}: removed`);
  return lines;
}

/** The addresses of a managed etcd have ports that dynamo chose. */
function withoutChosenEndpoints(plan: LaunchPlan): LaunchPlan {
  const { discovery } = plan;
  if (discovery.backend === 'file' || !discovery.managed) return plan;
  const endpoints = discovery.endpoints.join(',');
  const processes = plan.processes.map((spec) => ({
    ...spec,
    argv: spec.argv.map((word) => (word === endpoints ? '<etcd>' : word)),
  }));
  return { ...plan, processes, discovery: { ...discovery, endpoints: [] } };
}

/** A follower's words name ports of its leader too. */
function withGroupPorts(processes: readonly ProcessSpec[]): ProcessSpec[] {
  return processes.map((spec) => {
    if (!spec.group) return spec;
    const [leader] = membersOf(spec, processes);
    return { ...spec, ports: { ...leader?.ports, ...spec.ports } };
  });
}

function compareProcesses(a: ProcessSpec, b: ProcessSpec, say: (what: string, a: unknown, b: unknown) => void): void {
  for (const key of ['role', 'host', 'group', 'model', 'engine', 'cwd', 'gpus', 'readiness', 'liveness'] as const)
    say(`${a.name} ${key}`, a[key], b[key]);
  for (const key of ['startTimeoutMs', 'restart', 'drain', 'kvTransfer', 'kvBlockSize'] as const)
    say(`${a.name} ${key}`, a[key], b[key]);
  const purposes = new Set([...a.fixedPorts, ...b.fixedPorts]);
  for (const purpose of purposes) say(`${a.name} ${purpose} port`, fixedPort(a, purpose), fixedPort(b, purpose));
  compareFlags(a, b, say);
  const [left, right] = [a, b].map(neutralEnv);
  for (const name of new Set([...Object.keys(left!), ...Object.keys(right!)]))
    say(`${a.name} env ${name}`, left![name], right![name]);
}

/** Flags are compared by name, so that one changed value is one line. */
function compareFlags(a: ProcessSpec, b: ProcessSpec, say: (what: string, a: unknown, b: unknown) => void): void {
  const [left, right] = [a, b].map((spec) => flagsOf(neutralArgv(spec)));
  for (const flag of new Set([...left!.keys(), ...right!.keys()])) {
    const what = flag === '' ? `${a.name} command` : `${a.name} ${flag}`;
    say(what, left!.get(flag), right!.get(flag));
  }
}

/** Words by the flag before them; '' holds the command itself. */
function flagsOf(argv: readonly string[]): Map<string, string> {
  const flags = new Map<string, string[]>([['', []]]);
  let current = '';
  for (const word of argv) {
    const isFlag = /^--[a-z]/i.test(word);
    if (isFlag) current = word;
    const words = flags.get(current) ?? [];
    if (!isFlag) words.push(word);
    flags.set(current, words);
  }
  return new Map([...flags].map(([flag, words]) => [flag, words.join(' ')]));
}

const fixedPort = (spec: ProcessSpec, purpose: string): number | 'auto' =>
  spec.fixedPorts.includes(purpose) ? (spec.ports[purpose] ?? 'auto') : 'auto';

function neutralArgv(spec: ProcessSpec): string[] {
  const texts = spec.portTexts ?? [];
  return spec.argv.map((word, index) =>
    neutral(
      spec,
      word,
      texts.find((place) => 'word' in place && place.word === index),
    ),
  );
}

function neutralEnv(spec: ProcessSpec): Record<string, string> {
  const texts = spec.portTexts ?? [];
  return Object.fromEntries(
    Object.entries(spec.env).map(([name, value]) => {
      const place = texts.find((text) => 'env' in text && text.env === name);
      return [name, neutral(spec, maskEnvValue(name, value), place)];
    }),
  );
}

/**
 * A word with purposes in place of ports. Where the plan does not say which words name ports (a frontend's, a leader's within a
 * follower) that is every word that is one of them, alone or after an address.
 */
function neutral(spec: ProcessSpec, word: string, place: PortText | undefined): string {
  if (place) return withoutNumbers(place.text);
  if (spec.portTexts && !spec.group) return word;
  const [host, port] = /^(.*:)(\d+)$/.exec(word)?.slice(1) ?? ['', word];
  const purpose = Object.keys(spec.ports).find((key) => String(spec.ports[key]) === port);
  return purpose === undefined ? word : `${host}<${purpose} port>`;
}

function show(value: unknown): string {
  if (value === undefined) return 'not set';
  if (value === '') return 'set';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
