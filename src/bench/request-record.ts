/** Everything measured of one request. Times are milliseconds of one monotonic clock. */
export interface RequestRecord {
  /** Position in the load, from 0. */
  index: number;
  requestId: string;
  /** When the load wanted it sent; null in a closed loop. */
  scheduledMs: number | null;
  /** Taken before a connection is opened or picked, so connecting counts into the latency, as it does for a user. */
  startMs: number;
  /** Last byte, or the failure. */
  endMs: number;
  asked: TokenLengths;
  outcome: 'ok' | 'error' | 'cancelled';
  error: RequestError | null;
  /** Socket read that completed each chunk with content, reasoning included; one entry for a response that is not streamed. */
  contentMs: readonly number[];
  /** First chunk with content that is not reasoning. */
  firstOutputMs: number | null;
  /** Token counts the server reported; null when it reported none. */
  usage: Usage | null;
  finishReason: string | null;
  receivedBytes: number;
  connectionReused: boolean;
  /** Sent a second time, because the server had closed the kept-alive connection it was first written to. */
  resent: boolean;
  servedBy: ServedBy;
}

export interface TokenLengths {
  isl: number;
  osl: number;
}

export interface Usage {
  promptTokens: number;
  completionTokens: number;
  /** Prompt tokens the server took from its KV cache; null when it does not say. */
  cachedTokens: number | null;
}

export interface RequestError {
  /** HTTP status, null when none arrived. */
  code: number | null;
  /** What went wrong in one word: `timeout`, `connection_reset`, `zero_tokens`, or the server's error type. */
  type: string;
  message: string;
}

/** Workers named by the response headers of dynamo's frontend; null where the server names none. */
export interface ServedBy {
  prefill: string | null;
  decode: string | null;
}
