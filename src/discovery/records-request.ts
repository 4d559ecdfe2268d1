import { DynamoError, messageOf, type SerializedError } from '../base/errors.ts';
import type { CommitRecord } from './discovery.ts';
import { createFileDiscovery } from './file.ts';

/** What a controller elsewhere asks of the records that lie on this host. */
export type RecordsRequest =
  | { verb: 'open' }
  | { verb: 'commit'; record: CommitRecord }
  | { verb: 'readCommit'; generation: number; revision?: number }
  | { verb: 'clear'; forGood: boolean };

/** Where they lie on this host. */
export interface RecordsPlace {
  root: string;
  deployment: string;
  ttlMs: number;
}

export type RecordsAnswer = { value: unknown } | { error: SerializedError };

/** Answers one request; every failure is part of the answer. */
export async function answerRecords(request: RecordsRequest & RecordsPlace): Promise<RecordsAnswer> {
  const { root, deployment, ttlMs } = request;
  try {
    await using discovery = await createFileDiscovery(root, { deployment, ttlMs, mayBeAway: true });
    switch (request.verb) {
      case 'open':
        await discovery.open();
        return { value: null };
      case 'commit':
        return { value: await discovery.commit(request.record) };
      case 'readCommit':
        return { value: (await discovery.readCommit(request.generation, request.revision)) ?? null };
      case 'clear':
        await discovery.clear({ forGood: request.forGood });
        return { value: null };
    }
  } catch (error) {
    const known =
      error instanceof DynamoError
        ? error
        : new DynamoError('DISCOVERY_UNREACHABLE', `its discovery records cannot be used: ${messageOf(error)}`);
    return { error: known.toJSON() };
  }
}
