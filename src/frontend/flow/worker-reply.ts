/** A worker's own answer that goes to the client as it is: a 4xx for a request it does not take. */
export class WorkerReply extends Error {
  override readonly name = 'WorkerReply';
  readonly status: number;
  readonly contentType: string;
  readonly body: Buffer;

  constructor(status: number, contentType: string, body: Buffer) {
    super(`the worker answered ${status}`);
    this.status = status;
    this.contentType = contentType;
    this.body = body;
  }
}
