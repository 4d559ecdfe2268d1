import { DynamoError, messageOf } from '../base/errors.ts';
import type { Target } from './target.ts';

const TIMEOUT_MS = 10_000;

/** Ids that `GET /v1/models` lists. Throws `CONNECT_FAILED`. */
export async function listServedModels(
  target: Target,
  headers: Record<string, string>,
  signal: AbortSignal,
): Promise<string[]> {
  const url = `${target.url}/v1/models`;
  let response: Response;
  try {
    response = await fetch(url, { headers, signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]) });
  } catch (error) {
    signal.throwIfAborted();
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    throw new DynamoError('CONNECT_FAILED', `cannot reach ${url}: ${messageOf(cause)}`, { cause: error });
  }
  const body: unknown = await response.json().catch(() => null);
  const data = typeof body === 'object' && body !== null && 'data' in body ? body.data : null;
  if (!response.ok || !Array.isArray(data))
    throw new DynamoError('CONNECT_FAILED', `${url} answered ${response.status} without a list of models`, {
      hint: 'Check the address; --model NAME skips this question.',
    });
  return data.flatMap((entry: unknown) =>
    typeof entry === 'object' && entry !== null && 'id' in entry && typeof entry.id === 'string' ? [entry.id] : [],
  );
}

/** The only served model. Throws `CONNECT_FAILED` for none and `USAGE` for several. */
export function chooseModel(models: readonly string[], url: string): string {
  if (models.length === 1 && models[0] !== undefined) return models[0];
  if (models.length === 0)
    throw new DynamoError('CONNECT_FAILED', `${url} serves no model yet`, { hint: 'Wait until a model is ready.' });
  throw new DynamoError('USAGE', `${url} serves several models: ${models.join(', ')}`, {
    hint: 'Choose one with --model.',
  });
}
