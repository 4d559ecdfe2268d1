import type { FrontendContext } from '../frontend-context.ts';
import type { KnownInstance } from '../instances/instance-table.ts';
import type { ServedModel } from '../model-table.ts';

/** Whether a prefill worker may hand its KV cache to a decode worker: they speak the same dialect and are not quarantined. */
export function mayServeTogether(context: FrontendContext, prefill: KnownInstance, decode: KnownInstance): boolean {
  return prefill.record.kvTransfer === decode.record.kvTransfer && !context.transfers.isQuarantined(prefill, decode);
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
