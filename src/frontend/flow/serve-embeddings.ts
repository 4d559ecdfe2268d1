import { RequestFieldError } from '../../openai/completion-request.ts';
import type { FrontendContext } from '../frontend-context.ts';
import type { PreparedRequest } from './prepared-request.ts';
import { serveWhole } from './serve-whole.ts';
import { WorkerReply } from './worker-reply.ts';

/** What engines answer when they do not have the endpoint: vLLM for models that generate, llama.cpp without `--embeddings`. */
const NO_SUCH_ENDPOINT = new Set([404, 405, 501]);

/**
 * Serves embeddings on one aggregated worker. They generate nothing, so there is nothing to split: a model whose workers are prefill
 * and decode is refused, and so is one whose engine has no embeddings.
 */
export async function serveEmbeddings(context: FrontendContext, prepared: PreparedRequest): Promise<void> {
  const { name, routers } = prepared.model;
  if (!routers.has('aggregated'))
    throw new RequestFieldError(
      `\`${name}\` runs on separate prefill and decode workers, which make no embeddings`,
      'model',
    );
  try {
    await serveWhole(context, prepared, 'aggregated');
  } catch (error) {
    if (!(error instanceof WorkerReply) || !NO_SUCH_ENDPOINT.has(error.status)) throw error;
    throw new RequestFieldError(`\`${name}\` makes no embeddings: its engine has no such endpoint`, 'model');
  }
}
