/**
 * How long the simulated engine computes. Default formulas of NVIDIA Dynamo's mocker (polynomials fitted to one GPU):
 *   prefill_ms = 4.209989e-7·t² + 1.518344e-2·t + 16.50142      t = new prompt tokens of the step; 0 ms for none
 *   decode_ms  = max(1, −25.74·u² + 54.01·u + 5.74)             u = share of the KV cache that decoding reads, at most 1
 */

/** Milliseconds to compute `tokens` prompt tokens in one step. */
export function prefillMs(tokens: number): number {
  return tokens === 0 ? 0 : 4.209989e-7 * tokens * tokens + 1.518344e-2 * tokens + 16.50142;
}

/** Milliseconds for one token of every decoding request while `share` (0 to 1) of the KV cache is in use. */
export function decodeMs(share: number): number {
  const u = Math.min(1, share);
  return Math.max(1, -25.74 * u * u + 54.01 * u + 5.74);
}

/** Milliseconds to move the KV cache of `tokens` tokens; 0 when `bandwidthGBps` (10⁹ bytes a second) is 0, meaning off. */
export function transferMs(tokens: number, bytesPerToken: number, bandwidthGBps: number): number {
  return bandwidthGBps === 0 ? 0 : ((tokens * bytesPerToken) / (bandwidthGBps * 1e9)) * 1_000;
}
