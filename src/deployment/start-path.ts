import { formatDuration } from '../base/duration.ts';
import type { HostStepSnapshot, StepSnapshot } from './snapshot.ts';

/** Steps shorter than this share of the whole are told together. */
const WORTH_NAMING = 0.05;

/** Where the time of a start went, on one line: `4.2 s: agents 2.1 s (host-3 last: login 0.3 s, kit 1.2 s, agent 0.6 s), …`. Pure. */
export function describeStartPath(steps: readonly StepSnapshot[]): string {
  const total = sumOf(steps);
  const named = steps.filter(({ ms }) => ms >= total * WORTH_NAMING);
  const rest = total - sumOf(named);
  const parts = named.map((step) => `${nameOf(step, steps)} ${formatDuration(step.ms)}${describeLast(step)}`);
  if (rest > 0) parts.push(`the rest ${formatDuration(rest)}`);
  return `${formatDuration(total)}: ${parts.join(', ')}`;
}

const ORDINALS = ['', 'second ', 'third '];

/** `second ready`: each stage has a `ready` of its own. */
function nameOf(step: StepSnapshot, steps: readonly StepSnapshot[]): string {
  const times = steps.slice(0, steps.indexOf(step)).filter((earlier) => earlier.step === step.step).length;
  return `${ORDINALS[times] ?? `${times + 1}th `}${step.step}`;
}

/** The host that a step ended with; undefined for a step without hosts. */
export function lastHost({ hosts }: StepSnapshot): HostStepSnapshot | undefined {
  return hosts.reduce<HostStepSnapshot | undefined>(
    (last, host) => (last && last.ms >= host.ms ? last : host),
    undefined,
  );
}

/** Whose time it was, where there was a choice of hosts, and what that host did with it. */
function describeLast(step: StepSnapshot): string {
  const last = lastHost(step);
  if (!last) return '';
  const parts = last.parts.map(({ phase, ms }) => `${phase} ${formatDuration(ms)}`).join(', ');
  const who = step.hosts.length > 1 ? `${last.host} last` : '';
  const said = [who, parts].filter(Boolean).join(': ');
  return said === '' ? '' : ` (${said})`;
}

const sumOf = (steps: readonly StepSnapshot[]): number => steps.reduce((sum, { ms }) => sum + ms, 0);
