import { isEncoderDecoder, isHybrid, isStateSpace } from '../model-family.ts';
import type { WorkerSettings } from '../worker.ts';

/** What matters of a worker's model: by its own configuration where that is known, else by its name. */

type Worker = Pick<WorkerSettings, 'model' | 'modelConfig'>;

/** More than one kind of KV cache: sliding windows or state-space layers among full attention. */
export const hasHybridKv = ({ model, modelConfig }: Worker): boolean => modelConfig?.hybridKv ?? isHybrid(model);

export const hasStateSpace = ({ model, modelConfig }: Worker): boolean =>
  modelConfig?.stateSpace ?? isStateSpace(model);

export const hasEncoder = ({ model, modelConfig }: Worker): boolean =>
  modelConfig?.encoderDecoder ?? isEncoderDecoder(model);
