import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { startChild } from './support/child.ts';
import { serveQuickstart } from './support/deployment.ts';
import { median, type Scenario } from './support/scenario.ts';

export const scenario: Scenario = {
  name: 'startup',
  title: 'Start: `dynamo serve quickstart` to the first streamed token',
  async run({ root, folder, say, quick }) {
    const bare: number[] = [];
    const ready: number[] = [];
    const token: number[] = [];
    // Installing and building on first use are not part of a start.
    const warm = startChild(path.join(root, 'bin', 'dynamo'), ['--version']);
    await new Promise((resolve) => warm.process.once('close', resolve));
    for (let run = 0; run < (quick ? 1 : 5); run += 1) {
      const home = path.join(folder, String(run));
      mkdirSync(home);
      bare.push(await startNode());
      const start = performance.now();
      await using quickstart = await serveQuickstart(root, home);
      ready.push((performance.now() - start) / 1_000);
      await firstToken(quickstart.endpoint, quickstart.model);
      token.push((performance.now() - start) / 1_000);
      say(`run ${run + 1}: ready ${ready.at(-1)!.toFixed(2)} s, first token ${token.at(-1)!.toFixed(2)} s`);
    }
    const nodeSeconds = median(bare);
    const figure = (what: string, values: readonly number[]) => ({
      what,
      value: median(values),
      unit: 's',
      ratio: median(values) / nodeSeconds,
      against: 'starting Node to do nothing',
    });
    return {
      figures: [
        figure('command to first streamed token', token),
        figure('command to "ready" (all pairs proven)', ready),
        { what: 'starting Node to do nothing', value: nodeSeconds, unit: 's' },
      ],
      notes: [
        `Median of ${token.length}; slowest first token ${Math.max(...token).toFixed(2)} s.`,
        'One frontend, two prefill and two decode workers, controller and agent: seven Node processes besides the command.',
      ],
    };
  },
};

async function startNode(): Promise<number> {
  const start = performance.now();
  const child = startChild(process.execPath, ['-e', '0']);
  await new Promise((resolve) => child.process.once('close', resolve));
  return (performance.now() - start) / 1_000;
}

async function firstToken(endpoint: string, model: string): Promise<void> {
  const response = await fetch(`${endpoint}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello' }], max_tokens: 4, stream: true }),
  });
  if (!response.ok || !response.body) throw new Error(`the first request got ${response.status}`);
  let text = '';
  for await (const part of response.body.pipeThrough(new TextDecoderStream())) {
    text += part;
    if (/"content":"[^"]/.test(text)) return;
  }
  throw new Error('the first request got no token');
}
