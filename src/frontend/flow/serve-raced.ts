import { randomBytes } from 'node:crypto';
import { DynamoError } from '../../base/errors.ts';
import type { Meeting, RacedDialect } from '../../engines/kv-transfer-dialect.ts';
import { roomOf } from '../../engines/sglang/kv-transfer.ts';
import { isPromptList } from '../../openai/leg-fields.ts';
import type { FrontendContext } from '../frontend-context.ts';
import { mayServeTogether, partnerTest } from './pairs.ts';
import { type PickedWorker, pickWorker, type Tried } from './pick-worker.ts';
import type { PreparedRequest } from './prepared-request.ts';
import { raceLegs } from './race-legs.ts';
import { MAX_TRIES, nobodyLeft, noteFailure } from './retry.ts';

/**
 * Serves a request on a prefill and a decode worker at once. The first leg that fails ends the other; the request starts over on
 * another pair, in new rooms, while the client has nothing.
 */
export async function serveRaced(
  context: FrontendContext,
  prepared: PreparedRequest,
  dialect: RacedDialect,
): Promise<void> {
  const triedPrefill: Tried = new Map();
  const triedDecode: Tried = new Map();
  for (let round = 0; round < MAX_TRIES; round += 1) {
    const hasPartner = partnerTest(context, prepared.model);
    const prefill = pickWorker(context, prepared, 'prefill', {
      tried: triedPrefill,
      pinned: prepared.pins.prefill,
      retrySame: true,
      allows: (instance) => instance.record.bootstrap != null && hasPartner(instance),
    });
    if (prefill === undefined) throw noPrefill(prepared, triedPrefill);
    let decode: PickedWorker | undefined;
    try {
      decode = pickWorker(context, prepared, 'decode', {
        tried: triedDecode,
        pinned: prepared.pins.worker,
        retrySame: true,
        allows: (instance) => mayServeTogether(context, prefill.instance, instance),
      });
      if (decode === undefined) throw nobodyLeft(prepared, 'decode', [...triedDecode.values()].at(-1));
      const { prompt } = prepared.request.fields;
      const isBatch = isPromptList(prompt);
      const meeting = drawMeeting(prefill, isBatch ? (prompt as unknown[]).length : 1);
      const body = dialect.raceBody(prepared.body, meeting, isBatch);
      const lost = await raceLegs(context, prepared, { prefill, decode, body, rids: meeting.rids });
      if (lost === undefined) return;
      const [picked, tried] = lost.leg === 'prefill' ? [prefill, triedPrefill] : [decode, triedDecode];
      noteFailure(context, prepared, lost.leg, picked, tried, lost.failure);
      // What failed on one side may have been the other side's doing, unless it is simply gone.
      if (lost.leg === 'decode' && !tried.get(picked.instance.record.name)?.isConnectionLoss) {
        triedPrefill.set(prefill.instance.record.name, tried.get(picked.instance.record.name)!);
      }
    } finally {
      prefill.release();
      decode?.release();
    }
  }
  throw nobodyLeft(prepared, 'decode', [...triedPrefill.values(), ...triedDecode.values()].at(-1));
}

function noPrefill(prepared: PreparedRequest, tried: Tried): Error {
  const last = [...tried.values()].at(-1);
  if (last === undefined) return nobodyLeft(prepared, 'prefill', undefined);
  return new DynamoError('NO_INSTANCES', `no prefill worker for \`${prepared.model.name}\` completed the request`, {
    cause: last,
  });
}

/** Random rooms and ids: two frontends do not know each other's. */
function drawMeeting(prefill: PickedWorker, prompts: number): Meeting {
  const { host, port } = prefill.instance.record.bootstrap!;
  const rooms = new Set<number>();
  while (rooms.size < prompts) {
    const room = roomOf(randomBytes(8));
    if (room !== undefined) rooms.add(room);
  }
  return { host, port, rooms: [...rooms], rids: Array.from(rooms, () => randomBytes(16).toString('hex')) };
}
