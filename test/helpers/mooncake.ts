import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { packageRoot } from '../../src/base/package-root.ts';
import type { TraceRow } from '../../src/scheduler/replay.ts';

/** The real Mooncake conversation trace (kvcache-ai/Mooncake, FAST25 release, Apache-2.0), if it lies beside the project. */
export const MOONCAKE = path.resolve(packageRoot, '../shared/data/mooncake-conversation.jsonl');
export const hasMooncake = existsSync(MOONCAKE);

export function mooncakeRows(count: number): TraceRow[] {
  return readFileSync(MOONCAKE, 'utf8')
    .split('\n', count)
    .map((line) => JSON.parse(line) as TraceRow);
}
