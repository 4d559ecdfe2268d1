import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { replayTrace, type TraceRow } from '../../src/scheduler/replay.ts';
import { median, type Scenario } from './support/scenario.ts';

const TRACE = '../shared/data/mooncake-conversation.jsonl';

export const scenario: Scenario = {
  name: 'scheduler',
  title: 'Scheduler: virtual-time steps per second, the whole trace through one simulated worker',
  async run({ root, say, quick }) {
    const file = path.join(root, TRACE);
    if (!existsSync(file)) return { skipped: `${TRACE} is missing (the Mooncake conversation trace)` };
    const text = readFileSync(file, 'utf8');
    const lines = text.split('\n').filter((line) => line !== '');
    const parse = (): TraceRow[] => lines.map((line) => JSON.parse(line) as TraceRow);
    const parseSeconds = median(Array.from({ length: 5 }, () => seconds(parse)));
    const rows = parse();
    const config = { blockSize: 64, totalBlocks: 16_384, maxNumSeqs: 256, maxNumBatchedTokens: 8_192 };
    let result = replayTrace({ rows: rows.slice(0, 500), workers: 1, config, pick: () => 0 });
    const runs: number[] = [];
    for (let run = 0; run < (quick ? 1 : 3); run += 1) {
      runs.push(
        seconds(() => {
          result = replayTrace({ rows, workers: 1, config, pick: () => 0 });
        }),
      );
      say(`run ${run + 1}: ${runs.at(-1)!.toFixed(1)} s`);
    }
    const wall = median(runs);
    return {
      figures: [
        { what: `${rows.length} rows, ${result.steps} steps`, value: result.steps / wall, unit: 'steps/s' },
        { what: 'tokens produced', value: result.outputTokens / wall, unit: 'tokens/s' },
        { what: 'time', value: wall, unit: 's', ratio: wall / parseSeconds, against: 'JSON.parse of the trace' },
        {
          what: 'virtual time',
          value: result.durationMs / 1_000,
          unit: 's',
          ratio: result.durationMs / 1_000 / wall,
          against: 'time it took',
        },
      ],
      notes: [
        `One worker: ${config.totalBlocks} blocks of ${config.blockSize} tokens, up to ${config.maxNumSeqs} sequences and ${config.maxNumBatchedTokens} tokens a step; ${result.preemptions} preemptions, ${((result.cachedTokens / result.promptTokens) * 100).toFixed(1)} % of the input cached.`,
      ],
    };
  },
};

function seconds(run: () => unknown): number {
  const start = performance.now();
  run();
  return (performance.now() - start) / 1_000;
}
