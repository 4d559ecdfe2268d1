import type { IncomingMessage } from 'node:http';
import { DynamoError } from '../base/errors.ts';

/** The body of a request. Throws `REQUEST_TOO_LARGE`; rejects with `INVALID_REQUEST` when the client stops half way. */
export function readBody(request: IncomingMessage, limitBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const tooLarge = (): DynamoError =>
      new DynamoError('REQUEST_TOO_LARGE', `the body is larger than ${Math.floor(limitBytes / 1_048_576)} MiB`);
    if (Number(request.headers['content-length'] ?? 0) > limitBytes) {
      reject(tooLarge());
      return;
    }
    const parts: Buffer[] = [];
    let bytes = 0;
    request.on('data', (part: Buffer) => {
      bytes += part.length;
      if (bytes > limitBytes) {
        parts.length = 0;
        reject(tooLarge());
      } else parts.push(part);
    });
    request.on('end', () => resolve(parts.length === 1 ? parts[0]! : Buffer.concat(parts, bytes)));
    request.on('error', () => reject(new DynamoError('INVALID_REQUEST', 'the request ended before its body')));
  });
}
