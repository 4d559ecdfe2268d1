import { formatDuration } from '../base/duration.ts';
import { looksSecret } from '../recipe/secret-names.ts';
import type { Check, LaunchPlan, ProcessSpec } from './launch-plan.ts';
import { describeDiscovery } from './plan-discovery.ts';
import { HOOK_EVENTS, maskHooks, quote, shownHook } from './plan-hooks.ts';
import { maskEnv, maskEnvValue } from './secrets.ts';

/** Where nobody says how wide the screen is. */
const WIDTH = 80;

/** A plan for people, so wide where words allow: what starts in which order, with what, and why. Secrets are masked. */
export function renderPlan(plan: LaunchPlan, width = WIDTH): string {
  const wrap: Wrap = (text, first, rest) => wrapWords(text, first, rest, width);
  const lines = [
    `deployment  ${plan.deployment}`,
    `models      ${plan.models.join(', ')}`,
    `endpoint    ${plan.endpoint}`,
    ...wrap(
      `${describeDiscovery(plan.discovery)}, lapsed after ${formatDuration(plan.discovery.ttlMs)}`,
      'discovery   ',
      ' '.repeat(12),
    ),
    '',
    ...renderHosts(plan, wrap),
    ...renderOrder(plan, wrap),
  ];
  for (const spec of plan.processes) lines.push('', ...renderProcess(spec, wrap));
  const hooks = HOOK_EVENTS.flatMap((event) => {
    const shown = shownHook(plan, event);
    return shown === undefined ? [] : wrap(shown, `  ${event.padEnd(9)}  `, ' '.repeat(13));
  });
  if (hooks.length > 0) lines.push('', 'hooks', ...hooks);
  if (plan.warnings.length > 0) {
    lines.push('', 'warnings');
    for (const warning of plan.warnings) lines.push(...wrap(warning, '  - ', '    '));
  }
  return `${lines.join('\n')}\n`;
}

type Wrap = (text: string, first: string, rest: string) => string[];

/** Who is on which of several hosts. */
function renderHosts(plan: LaunchPlan, wrap: Wrap): string[] {
  if (plan.hosts.length < 2) return [];
  const width = Math.max(...plan.hosts.map((host) => host.length));
  const lines = plan.hosts.flatMap((host) => {
    const here = plan.processes.filter((spec) => spec.host === host);
    const gpus = new Set(here.flatMap((spec) => spec.gpus)).size;
    const count = gpus === 0 ? '' : `; ${gpus} GPU${gpus === 1 ? '' : 's'}`;
    return wrap(
      `${here.map(({ name }) => name).join(', ')}${count}`,
      `  ${host.padEnd(width)}  `,
      ' '.repeat(width + 4),
    );
  });
  return ['hosts', ...lines, ''];
}

function renderOrder(plan: LaunchPlan, wrap: Wrap): string[] {
  const lines = ['order'];
  plan.stages.forEach((names, index) => {
    const after = index === 0 ? '' : ` once stage ${index} is ready`;
    lines.push(...wrap(`${names.join(', ')}${after}`, `  ${index + 1}. `, '     '));
  });
  if (plan.pairs.length > 0) {
    const pairs = plan.pairs.map(({ prefill, decode }) => `${prefill}→${decode}`).join(', ');
    const number = plan.stages.length + 1;
    lines.push(...wrap(`prove that KV cache gets across: ${pairs}`, `  ${number}. `, '     '));
  }
  return lines;
}

function renderProcess(spec: ProcessSpec, wrap: Wrap): string[] {
  const engine = spec.engine === null ? '' : `, ${spec.engine}`;
  const lines = [`${spec.name}  (${spec.role}${engine}${describeGroup(spec)})`];
  const put = (label: string, text: string): void => {
    lines.push(...wrap(text, `  ${label.padEnd(8)}`, ' '.repeat(10)));
  };
  if (spec.model !== null) put('model', spec.model);
  put('host', spec.host);
  put('gpus', spec.gpus.length === 0 ? 'none' : `number ${spec.gpus.join(', ')}`);
  const ports = Object.entries(spec.ports).map(([purpose, port]) => describePort(spec, purpose, port));
  if (ports.length > 0) put('ports', ports.join(', '));
  if (spec.external) put('at', `${spec.url}, run by somebody else`);
  else put('argv', maskArgv(spec.argv).map(quote).join(' '));
  for (const [name, value] of Object.entries(spec.env)) put('env', `${name}=${maskEnvValue(name, value)}`);
  for (const { name, content } of spec.files ?? []) put('file', `${name}: ${content.replaceAll(/\s+/g, ' ').trim()}`);
  put('ready', describeReadiness(spec));
  for (const reason of spec.reasons) put('why', reason);
  return lines;
}

function describeGroup({ group }: ProcessSpec): string {
  if (!group) return '';
  return group.leader ? `, leads ${group.size} hosts` : `, rank ${group.rank} of ${group.name}`;
}

function describeReadiness(spec: ProcessSpec): string {
  const atMost = `at most ${formatDuration(spec.startTimeoutMs)}`;
  if (spec.readiness.length > 0) return `${spec.readiness.map(describeCheck).join(', ')}; ${atMost}`;
  return spec.group ? `with ${spec.group.name}, whose checks are those of the whole worker` : `once it runs; ${atMost}`;
}

function describePort(spec: ProcessSpec, purpose: string, port: number): string {
  return `${purpose} ${port}${spec.fixedPorts.includes(purpose) ? ' (fixed)' : ''}`;
}

function describeCheck(check: Check): string {
  if (check.kind === 'http') return `GET ${check.path}${check.port === undefined ? '' : ` on its ${check.port} port`}`;
  if (check.kind === 'model-listed') return `lists ${check.model}`;
  if (check.kind === 'generate') return 'generates a token';
  return `${check.port} port open`;
}

/** The plan as `--json` prints it: literal values that look like secrets are hidden, references stay. */
export function maskPlan(plan: LaunchPlan): LaunchPlan {
  const processes = plan.processes.map((spec) => ({
    ...spec,
    argv: maskArgv(spec.argv),
    env: maskEnv(spec.env),
  }));
  return { ...plan, processes, ...maskHooks(plan) };
}

/** Hides the value after a flag whose name is that of a secret. */
function maskArgv(argv: readonly string[]): string[] {
  return argv.map((word, index) => {
    const flag = argv[index - 1];
    return flag?.startsWith('--') && isSecretFlag(flag) && !word.startsWith('--') ? '<hidden>' : word;
  });
}

/** Where a secret is may be shown. */
function isSecretFlag(flag: string): boolean {
  return looksSecret(flag.slice(2)) && !/-(file|env)$/.test(flag);
}

function wrapWords(text: string, first: string, rest: string, width: number): string[] {
  const lines: string[] = [];
  let line = first;
  let empty = true;
  for (const word of text.split(' ')) {
    if (!empty && line.length + 1 + word.length > width) {
      lines.push(line);
      line = rest;
      empty = true;
    }
    line += empty ? word : ` ${word}`;
    empty = false;
  }
  return [...lines, line];
}
