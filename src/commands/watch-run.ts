import { readSnapshot, theOnlyDeployment } from '../deployment/local-view.ts';
import type { DeploymentSnapshot } from '../deployment/snapshot.ts';
import { deploymentDir } from '../deployment/state-dir.ts';
import { LiveView } from '../tui/data/live-view.ts';
import { loadScreen } from './load-screen.ts';
import { JsonOutput, LineOutput, type ServeOutput } from './serve-output.ts';
import { renderStatus } from './status-text.ts';
import { thisTerminal, wantsScreen } from './wants-screen.ts';

/**
 * Shows a deployment until the user leaves: full-screen on a terminal, else its status and then a line for each change.
 * What is shown goes on running.
 */
export async function runWatch(name: string | undefined, flags: { json?: boolean; tui?: boolean }): Promise<void> {
  const deployment = name ?? theOnlyDeployment();
  const first = await readSnapshot(deployment);
  const leaving = new AbortController();
  const leave = () => leaving.abort();
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, leave);
  try {
    if (wantsScreen(flags, thisTerminal())) await watchOnScreen(deployment, first, leaving);
    else await watchAsLines(deployment, first, flags.json ?? false, leaving.signal);
  } finally {
    for (const signal of signals) process.removeListener(signal, leave);
  }
}

async function watchOnScreen(deployment: string, first: DeploymentSnapshot, leaving: AbortController): Promise<void> {
  const open = await loadScreen();
  const leave = () => leaving.abort();
  const screen = open({
    deployment,
    dir: deploymentDir(deployment),
    first,
    mode: 'watch',
    ephemeral: false,
    onInterrupt: leave,
    onLeave: leave,
    onHangUp: leave,
  });
  const left = new Promise<void>((resolve) => {
    if (leaving.signal.aborted) resolve();
    else leaving.signal.addEventListener('abort', () => resolve(), { once: true });
  });
  try {
    await Promise.race([left, screen.ended]);
  } finally {
    await screen.close();
  }
}

/** Ends with the deployment too. */
async function watchAsLines(
  deployment: string,
  first: DeploymentSnapshot,
  json: boolean,
  signal: AbortSignal,
): Promise<void> {
  const output: ServeOutput = json ? new JsonOutput() : new LineOutput({ detaches: false });
  const began = performance.now();
  if (!json) process.stdout.write(renderStatus(first));
  const view = new LiveView(deployment, deploymentDir(deployment), first).start({ metrics: false });
  let shown: DeploymentSnapshot | undefined;
  let lastEvent: number | undefined;
  try {
    await new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
      const look = () => {
        const { snapshot, events } = view.current();
        for (const event of events) if (lastEvent !== undefined && event.seq > lastEvent) output.event(event, true);
        // What happened before is not news.
        if (events.length > 0 || lastEvent === undefined) lastEvent = events.at(-1)?.seq ?? lastEvent;
        if (snapshot !== shown) output.snapshot(snapshot, performance.now() - began);
        shown = snapshot;
        if (snapshot.state === 'stopped' || snapshot.state === 'failed') resolve();
      };
      view.subscribe(look);
      look();
    });
  } finally {
    output.close();
    view.close();
  }
}
