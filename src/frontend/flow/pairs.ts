import type { FrontendContext } from '../frontend-context.ts';
import type { KnownInstance } from '../instances/instance-table.ts';
import type { ServedModel } from '../model-table.ts';
import type { PreparedRequest } from './prepared-request.ts';

/** Whether a prefill worker may hand its KV cache to a decode worker: they speak the same dialect and are not quarantined. */
export function mayServeTogether(context: FrontendContext, prefill: KnownInstance, decode: KnownInstance): boolean {
  return prefill.record.kvTransfer === decode.record.kvTransfer && !context.transfers.isQuarantined(prefill, decode);
}

/** Whether some decode worker of the model may serve with a prefill worker. */
export function hasPartner(context: FrontendContext, prepared: PreparedRequest, prefill: KnownInstance): boolean {
  return decodeWorkers(context, prepared.model).some((decode) => mayServeTogether(context, prefill, decode));
}

/** Decode workers of a model, whatever their state. */
export function decodeWorkers(context: FrontendContext, model: ServedModel): KnownInstance[] {
  const workers = model.routers.get('decode')?.workers() ?? [];
  return workers.map(({ id }) => context.instances.get(id)).filter((instance) => instance !== undefined);
}
