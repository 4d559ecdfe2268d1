import { BenchClient } from '../../src/bench/bench-client.ts';
import { driveLoad } from '../../src/bench/load-driver.ts';
import { prepareRequest } from '../../src/bench/prepared-request.ts';
import type { RequestRecord } from '../../src/bench/request-record.ts';
import { parseTarget } from '../../src/bench/target.ts';
import { startScript } from './support/child.ts';
import { type Figure, median, type Scenario } from './support/scenario.ts';

const EVENTS = 128;
/** What the paced server aims at, in milliseconds. */
const TTFT_MS = 20;
const ITL_MS = 5;
const PACED_EVENTS = 32;

export const scenario: Scenario = {
  name: 'client',
  title: '`dynamo bench` itself: what it costs, and how near it comes to a known truth',
  async run({ say, quick }) {
    const figures: Figure[] = [];
    await using fast = startScript(new URL('./support/fake-upstream.ts', import.meta.url), EVENTS);
    const fastPort = await fast.line((line) => Number(line) || undefined);
    const requests = quick ? 500 : 4_000;
    await using generator = startScript(
      new URL('./support/load.ts', import.meta.url),
      fastPort,
      32,
      requests,
      'stream',
    );
    const lean = await generator.line((line) => JSON.parse(line) as { cpu: number }, 120_000);
    await drive(fastPort, 32, requests / 4, EVENTS);
    const before = process.cpuUsage();
    const records = await drive(fastPort, 32, requests, EVENTS);
    const { user, system } = process.cpuUsage(before);
    const events = records.reduce((sum, { contentMs }) => sum + contentMs.length, 0);
    figures.push({
      what: 'measuring and parsing every event',
      value: (user + system) / events,
      unit: 'CPU s per 1M events',
      ratio: (user + system) / 1e6 / lean.cpu,
      against: 'a load generator that parses nothing',
    });
    say('paced server');
    await using paced = startScript(
      new URL('./support/paced-upstream.ts', import.meta.url),
      TTFT_MS,
      ITL_MS,
      PACED_EVENTS,
    );
    const pacedPort = await paced.line((line) => Number(line) || undefined);
    const truth = async () =>
      (await (await fetch(`http://127.0.0.1:${pacedPort}/`)).json()) as { ttftMs: number; itlMs: number };
    for (const concurrency of [1, 32]) {
      const answers = await drive(pacedPort, concurrency, Math.max(20, concurrency * (quick ? 5 : 20)), PACED_EVENTS);
      const { ttftMs, itlMs } = await truth();
      const ttft = median(answers.map(({ contentMs, startMs }) => contentMs[0]! - startMs));
      const itl = median(answers.map(({ contentMs }) => (contentMs.at(-1)! - contentMs[0]!) / (contentMs.length - 1)));
      const what = `${concurrency} at once`;
      figures.push({ what, value: ttft, unit: 'ms median TTFT', ratio: ttft / ttftMs, against: "the server's own" });
      figures.push({ what, value: itl, unit: 'ms median ITL', ratio: itl / itlMs, against: "the server's own" });
    }
    return {
      figures,
      notes: [
        `The paced server aims at ${TTFT_MS} and ${ITL_MS} ms; it shares the cores, so its own clock says what it really did.`,
      ],
    };
  },
};

async function drive(port: number, concurrency: number, count: number, osl: number): Promise<RequestRecord[]> {
  const target = parseTarget(`http://127.0.0.1:${port}`);
  const client = new BenchClient({ target, timeoutMs: 60_000, needsUsage: true });
  const shape = {
    target,
    endpointType: 'completions',
    model: 'bench-model',
    streaming: true,
    exactOutput: true,
    extraInputs: {},
    headers: {},
  } as const;
  const records: RequestRecord[] = [];
  let index = 0;
  await driveLoad({
    shape: { kind: 'closed', concurrency },
    next: () =>
      index < count
        ? prepareRequest(shape, { index: index++, requestId: 'x', asked: { isl: 8, osl }, prompt: ' the and for' })
        : undefined,
    send: (request, scheduledMs, signal) => client.send(request, scheduledMs, signal),
    onRecord: (record) => records.push(record),
    durationMs: undefined,
    graceMs: 0,
    signal: new AbortController().signal,
    now: () => performance.now(),
  });
  client.destroy();
  const failed = records.find(({ outcome }) => outcome !== 'ok');
  if (failed) throw new Error(`a request failed: ${JSON.stringify(failed.error)}`);
  return records;
}
