import { type FrontendHarness, startHarness } from './frontend-harness.ts';
import type { ScriptedWorker } from './scripted-worker.ts';
import { waitFor } from './until.ts';

/** A frontend with workers by name (`prefill-0`, `decode-0`); disposing closes them all. `fields` go into every record. */
export async function split(
  workers: Record<string, ScriptedWorker>,
  options: Parameters<typeof startHarness>[0] = {},
  fields: Parameters<FrontendHarness['publish']>[2] = {},
): Promise<FrontendHarness> {
  const stack = new AsyncDisposableStack();
  for (const worker of Object.values(workers)) stack.use(worker);
  const harness = stack.use(await startHarness(options));
  for (const [name, worker] of Object.entries(workers)) await harness.publish(name, worker, fields);
  return { ...harness, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** Waits until no request and no load is left. */
export const idle = async (harness: FrontendHarness): Promise<void> => {
  await waitFor('everything to be released', () => {
    const { instances, models, active } = harness.frontend.context;
    const loads = models.list().flatMap((model) => [...model.routers.values()].flatMap((router) => router.workers()));
    return (
      active.size === 0 &&
      instances.list().every(({ inFlight }) => inFlight === 0) &&
      loads.every(({ load }) => load.activeRequests === 0 && load.activePrefillTokens === 0 && load.activeBlocks === 0)
    );
  });
};
