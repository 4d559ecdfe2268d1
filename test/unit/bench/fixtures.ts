import type { RequestRecord } from '../../../src/bench/request-record.ts';

/** An answered request; times in milliseconds. */
export function record(fields: Partial<RequestRecord> = {}): RequestRecord {
  return {
    index: 0,
    requestId: 'r',
    scheduledMs: null,
    startMs: 0,
    endMs: 100,
    asked: { isl: 10, osl: 3 },
    outcome: 'ok',
    error: null,
    contentMs: [20, 30, 50],
    firstOutputMs: 20,
    usage: { promptTokens: 10, completionTokens: 3, cachedTokens: null },
    finishReason: 'length',
    receivedBytes: 1,
    connectionReused: false,
    resent: false,
    servedBy: { prefill: null, decode: null },
    ...fields,
  };
}
