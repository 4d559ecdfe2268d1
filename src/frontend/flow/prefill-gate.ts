import type { KnownInstance } from '../instances/instance-table.ts';
import type { AnswerGate } from '../relay/gated-output.ts';
import { UpstreamFailure } from '../upstream/upstream-failure.ts';
import type { PreparedRequest } from './prepared-request.ts';

/**
 * Whether a prompt may be too long for one of these workers. SGLang's prefill worker gives such a prompt up when it is its turn, and
 * the decode worker goes on with KV cache that nobody has computed: 200 and garbage (sgl-project/sglang#30233). No token is less than
 * a byte of the body, but for images and sound.
 */
export function mayBeTooLong({ request, clientBytes }: PreparedRequest, workers: readonly KnownInstance[]): boolean {
  return clientBytes > Math.min(...workers.map(roomOf)) || hasMedia(request.fields['messages']);
}

/** Tokens that a worker can take, its context or what its KV cache holds; 0 when it tells neither. */
function roomOf({ record }: KnownInstance): number {
  const { maxModelLen, kvTotalBlocks, kvBlockSize } = record;
  const cache = kvTotalBlocks !== null && kvBlockSize !== null ? kvTotalBlocks * kvBlockSize : null;
  const known = [maxModelLen, cache].filter((tokens) => tokens !== null);
  return known.length === 0 ? 0 : Math.min(...known);
}

function hasMedia(messages: unknown): boolean {
  if (!Array.isArray(messages)) return false;
  return messages.some((message: { content?: unknown } | null) => {
    const parts = message?.content;
    return Array.isArray(parts) && parts.some((part: { type?: unknown } | null) => part?.type !== 'text');
  });
}

/** Keeps the decode worker's answer until the prefill worker has answered too, which it does once its part is done. */
export class PrefillGate implements AnswerGate {
  readonly holdsEnd = false;
  readonly #answered: Promise<void>;
  readonly #lateMs: number;

  /** `answered` rejects with what the prefill worker has against it. */
  constructor(answered: Promise<void>, lateMs: number) {
    this.#answered = answered;
    this.#lateMs = lateMs;
  }

  /** Rejects as `answered` does, and when it takes too long. */
  async beforeFirst(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new UpstreamFailure('failed', 'the prefill worker did not answer although the decode worker has')),
        this.#lateMs,
      ).unref();
    });
    try {
      await Promise.race([this.#answered, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  async beforeEnd(): Promise<void> {}
}
