import { editLeg } from '../../openai/leg-fields.ts';
import type { RacedDialect } from '../kv-transfer-dialect.ts';
import { SGLANG_FIELDS } from './kv-transfer-fields.ts';

/**
 * SGLang's hand-over: both workers get the same body at once and meet in a room at the prefill worker's bootstrap server, where the
 * decode worker says which KV slots to fill. The client gets the decode worker's answer. When one leg fails the other would wait for
 * minutes, so it is aborted by its request id.
 */
export const SGLANG_BOOTSTRAP: RacedDialect = {
  name: 'sglang-bootstrap',
  fields: SGLANG_FIELDS,
  decodeServesWhole: false,
  raceBody(body, { host, port, rooms, rids }, isBatch) {
    const each = (value: unknown): string => JSON.stringify(isBatch ? rooms.map(() => value) : value);
    return editLeg(SGLANG_FIELDS, 'prefill', body, [
      ['bootstrap_host', each(host)],
      ['bootstrap_port', each(port)],
      ['bootstrap_room', JSON.stringify(isBatch ? rooms : rooms[0])],
      ['rid', JSON.stringify(isBatch ? rids : rids[0])],
    ]);
  },
};

/** Body of `POST /abort_request`, which stops one request; an id that the worker does not know is ignored. */
export const abortBody = (rid: string): Buffer => Buffer.from(JSON.stringify({ rid, abort_all: false }));

/**
 * Draws a room from eight random bytes: 1 to 2^53 − 1, so that it survives JSON readers with doubles. Undefined for the one draw in
 * 2^53 that gives 0.
 */
export function roomOf(random: Buffer): number | undefined {
  const room = Number(random.readBigUInt64LE() & 0x1f_ffff_ffff_ffffn);
  return room === 0 ? undefined : room;
}
