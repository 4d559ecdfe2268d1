import { sleep } from '../base/abort.ts';
import { backoffDelay } from '../base/backoff.ts';
import type { ProcessSpec } from '../plan/launch-plan.ts';
import { describeHolder } from './describe-holder.ts';
import type { TryPort } from './fresh-ports.ts';
import { tryBind } from './try-bind.ts';

/** vLLM passes over taken ones among its internal ports by itself. */
const SEARCHED = ['internal'];

const BACKOFF = { initialMs: 500, maxMs: 10_000, factor: 1.5 };

export interface AwaitPortsOptions {
  /** Told what it waits for, whenever that changes. */
  onWaiting(text: string): void;
  /** In [0, 1). */
  random(): number;
  signal: AbortSignal;
  tryPort?: TryPort;
}

/**
 * Waits until the ports are free that a process cannot do without: those that the recipe writes down, and those that others know it
 * by. To start it meanwhile would spend its restarts. Those it can leave (`freshPorts`) are not waited for. Rejects with the signal's
 * reason when it ends first.
 */
export async function awaitOwnPorts(spec: ProcessSpec, options: AwaitPortsOptions): Promise<void> {
  const { tryPort = tryBind, signal, random, onWaiting } = options;
  const kept = Object.entries(spec.ports).filter(
    ([purpose]) => !SEARCHED.includes(purpose) && !spec.freshPorts?.some((fresh) => fresh.purpose === purpose),
  );
  const host = new URL(spec.url).hostname;
  let said = '';
  for (let attempt = 0; ; attempt += 1) {
    const tries = await Promise.all(
      // Whatever else is wrong with a port, the process says better.
      kept.map(async ([purpose, port]) => ((await tryPort(port, host)) === 'in use' ? [{ purpose, port }] : [])),
    );
    signal.throwIfAborted();
    const taken = tries.flat();
    if (taken.length === 0) return;
    const text = taken
      .map(({ purpose, port }) => `${purpose} port ${port}, which is ${describeHolder(port)}`)
      .join('; ');
    if (text !== said) onWaiting(text);
    said = text;
    await sleep(backoffDelay(BACKOFF, attempt, random()), signal);
  }
}
