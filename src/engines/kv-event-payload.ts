import type { KvEventBatch, KvEventDecoder } from './kv-events.ts';

/** Payload bytes to values: 64-bit integers come as bigint, maps as objects. Loads msgpack when first asked. */
export async function kvEventDecoder(read: (value: unknown) => KvEventBatch): Promise<KvEventDecoder> {
  const { Unpackr } = await import('msgpackr');
  const unpackr = new Unpackr({ int64AsType: 'bigint', mapsAsObjects: true, useRecords: false });
  return (payload) => {
    let value: unknown;
    try {
      value = unpackr.unpack(payload);
    } catch (error) {
      throw new TypeError('not msgpack', { cause: error });
    }
    return read(value);
  };
}
