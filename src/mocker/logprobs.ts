import { decodeText, decodeTokens } from '../tokens/mock-tokenizer.ts';
import { mix32 } from '../tokens/prefix-hash.ts';

/**
 * Log probabilities of a model that has none: plausible, the same for the same token at the same place, the chosen token
 * always the most likely one.
 */
function logprobOf(token: number, position: number): number {
  return -((mix32(token ^ Math.imul(position + 1, 0x9e3779b1)) >>> 0) % 1_000) / 2_000;
}

interface Alternative {
  token: string;
  logprob: number;
  bytes: number[];
}

function alternatives(token: number, position: number, count: number): Alternative[] {
  const first = logprobOf(token, position);
  return Array.from({ length: count }, (_, rank) => {
    const id = rank === 0 ? token : 0x61 + (((mix32(token + rank) >>> 0) + rank) % 26);
    return { token: decodeText([id]), logprob: first - rank * 0.75, bytes: [...decodeTokens([id])] };
  });
}

/** The entry of a chat choice's `logprobs.content` for one token, with `top` alternatives. */
export function chatLogprob(token: number, position: number, top: number): object {
  const [chosen] = alternatives(token, position, 1);
  return { ...chosen, top_logprobs: alternatives(token, position, top) };
}

/** The `logprobs` of a text choice for some of its tokens. */
export function textLogprobs(tokens: readonly number[], position: number, offset: number, top: number): object {
  let at = offset;
  const offsets = tokens.map((token) => {
    const start = at;
    at += decodeText([token]).length;
    return start;
  });
  return {
    text_offset: offsets,
    token_logprobs: tokens.map((token, index) => logprobOf(token, position + index)),
    tokens: tokens.map((token) => decodeText([token])),
    top_logprobs: tokens.map((token, index) =>
      Object.fromEntries(
        alternatives(token, position + index, Math.max(1, top)).map((one) => [one.token, one.logprob]),
      ),
    ),
  };
}
