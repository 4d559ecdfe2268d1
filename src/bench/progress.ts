import type { BenchProgress } from './run-bench.ts';

/** Shows how far a run is. */
export interface ProgressView {
  update(progress: BenchProgress): void;
  stop(): void;
}

/** A bar on stderr; nothing when stderr is no terminal. */
export async function openProgress(stream: NodeJS.WriteStream): Promise<ProgressView> {
  if (!stream.isTTY) return { update() {}, stop() {} };
  const { default: cliProgress } = await import('cli-progress');
  const bar = new cliProgress.SingleBar({
    stream,
    format: '{phase} {bar} {value}/{of} · {failed} failed · {duration_formatted}',
    barsize: 30,
    hideCursor: true,
    clearOnComplete: true,
    linewrap: false,
  });
  let phase: BenchProgress['phase'] | undefined;
  return {
    update({ phase: current, done, failed, total }) {
      const payload = { phase: current === 'warmup' ? 'warm-up' : 'requests', of: total ?? '?', failed };
      // Without a known total the bar stays empty and the numbers tell.
      const size = total ?? Number.MAX_SAFE_INTEGER;
      if (phase !== current) bar.start(size, done, payload);
      phase = current;
      bar.update(done, payload);
    },
    stop() {
      bar.stop();
    },
  };
}
