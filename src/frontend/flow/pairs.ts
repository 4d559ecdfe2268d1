import type { FrontendContext } from '../frontend-context.ts';
import type { KnownInstance } from '../instances/instance-table.ts';
import type { ServedModel } from '../model-table.ts';

/**
 * Whether a prefill worker may hand its KV cache to a decode worker: they speak the same dialect, neither is published as having
 * failed the proof with the other, and they are not quarantined.
 */
export function mayServeTogether(context: FrontendContext, prefill: KnownInstance, decode: KnownInstance): boolean {
  return (
    prefill.record.kvTransfer === decode.record.kvTransfer &&
    !hasFailedWith(prefill, decode) &&
    !hasFailedWith(decode, prefill) &&
    !context.transfers.isQuarantined(prefill, decode)
  );
}

function hasFailedWith({ record }: KnownInstance, other: KnownInstance): boolean {
  const { name, generation } = other.record;
  return record.failedPeers?.some((peer) => peer.name === name && peer.generation === generation) ?? false;
}

/** Tells of prefill workers whether some decode worker of the model may serve with them. */
export function partnerTest(context: FrontendContext, model: ServedModel): (prefill: KnownInstance) => boolean {
  const decodes = decodeWorkers(context, model);
  return (prefill) => decodes.some((decode) => mayServeTogether(context, prefill, decode));
}

/** Decode workers of a model, whatever their state. */
export function decodeWorkers(context: FrontendContext, model: ServedModel): KnownInstance[] {
  const workers = model.routers.get('decode')?.workers() ?? [];
  return workers.map(({ id }) => context.instances.get(id)).filter((instance) => instance !== undefined);
}
