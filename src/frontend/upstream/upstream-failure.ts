export type FailureReason =
  /** No connection came about. */
  | 'refused'
  /** The connection died. */
  | 'reset'
  /** Its machine does not answer any more. */
  | 'silent'
  | 'timeout'
  /** The worker broke HTTP or the event stream. */
  | 'protocol'
  /** The worker answered with a 5xx status. */
  | 'status'
  /** The worker answered 503: it loads, or stops. */
  | 'unavailable'
  /** The worker answered 200 and then reported an error or an abort. */
  | 'failed'
  /** The frontend gave the request up, because the client went away or time is over. */
  | 'aborted';

/** A worker did not do what it was asked. Its own words stay out: they may quote the prompt. */
export class UpstreamFailure extends Error {
  override readonly name = 'UpstreamFailure';
  readonly reason: FailureReason;

  constructor(reason: FailureReason, message: string) {
    super(message);
    this.reason = reason;
  }

  /** The worker itself may be gone, rather than just this request. */
  get isConnectionLoss(): boolean {
    return this.reason === 'refused' || this.reason === 'reset' || this.reason === 'silent';
  }
}
