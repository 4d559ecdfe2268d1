import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

const folder = path.resolve(import.meta.dirname, '../fixtures/kv-events/vllm-0.32');

/**
 * Frames that a vLLM 0.32 on a CPU has sent, blocks of 128 tokens: `sub` as published, `replay` as answered to a request for
 * everything from 0.
 */
export function recordedFrames(kind: 'sub' | 'replay'): Buffer[][] {
  return readdirSync(folder)
    .filter((name) => name.startsWith(kind))
    .sort()
    .map((name) => JSON.parse(readFileSync(path.join(folder, name), 'utf8')) as string[])
    .map((frames) => frames.map((hex) => Buffer.from(hex, 'hex')));
}
