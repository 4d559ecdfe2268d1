import { startChild } from './support/child.ts';
import { serveQuickstart } from './support/deployment.ts';
import { hasProc, type Memory, memoryOf } from './support/proc.ts';
import type { Figure, Scenario } from './support/scenario.ts';

const MIB = 2 ** 20;

export const scenario: Scenario = {
  name: 'memory',
  title: 'Memory of each process at rest (quickstart, after one request to each pair)',
  async run({ root, folder, say }) {
    if (!hasProc) return { skipped: 'needs /proc (Linux)' };
    await using bare = startChild(process.execPath, ['-e', 'console.log("up"); setInterval(() => {}, 1e6)']);
    await bare.line((line) => (line === 'up' ? true : undefined));
    await using quickstart = await serveQuickstart(root, folder);
    const snapshot = await quickstart.status();
    const processes: [name: string, pid: number | null | undefined][] = [
      ['controller', snapshot.controller?.pid],
      ...snapshot.agents.map((agent): [string, number | null] => [`agent (${agent.host})`, agent.pid]),
      ...snapshot.processes.map((process): [string, number | null] => [process.name, process.pid]),
    ];
    say('waiting until they are at rest');
    const pids = processes.flatMap(([, pid]) => (pid ? [pid] : []));
    await settle(pids);
    const baseline = memoryOf(bare.pid);
    const figures = processes.flatMap(([name, pid]) => (pid ? figuresOf(name, memoryOf(pid), baseline) : []));
    const total = pids.map(memoryOf).reduce((sum, { pss }) => sum + pss, 0);
    return {
      figures: [
        ...figures,
        {
          what: 'all of them',
          value: total / MIB,
          unit: 'MiB PSS',
          ratio: total / baseline.pss,
          against: 'an idle Node',
        },
        ...figuresOf('an idle Node', baseline, undefined),
      ],
      notes: ['RSS counts shared pages in full for each process, PSS divides them among those who share them.'],
    };
  },
};

function figuresOf(what: string, memory: Memory, baseline: Memory | undefined): Figure[] {
  const figure = (key: keyof Memory, unit: string): Figure => ({
    what,
    value: memory[key] / MIB,
    unit,
    ...(baseline ? { ratio: memory[key] / baseline[key], against: 'an idle Node' } : {}),
  });
  return [figure('rss', 'MiB RSS'), figure('pss', 'MiB PSS')];
}

/** Until the sum stands still for two seconds, or ten have passed: garbage of the start is collected by then. */
async function settle(pids: readonly number[]): Promise<void> {
  let last = Number.NaN;
  let still = 0;
  for (let second = 0; second < 10 && still < 2; second += 1) {
    const sum = pids.map(memoryOf).reduce((total, { rss }) => total + rss, 0);
    still = Math.abs(sum - last) < MIB ? still + 1 : 0;
    last = sum;
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
}
