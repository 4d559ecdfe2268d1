import { describe, expect, it } from 'vitest';
import { ask, Sandbox } from '../helpers/deployment-sandbox.ts';

const RECIPE = `name: ev
model: mock-model
engine: mocker
kvEvents: true
frontend: { port: auto }
workers: { prefill: {}, decode: {} }
`;

describe('KV events of a deployment', () => {
  it('are in discovery, and can be looked at', async () => {
    await using box = new Sandbox();
    expect((await box.run('serve', box.file('recipe.yaml', RECIPE), '--detach')).code).toBe(0);
    const { endpoint } = await box.status('ev');
    await ask(endpoint, 'mock-model', 200);
    const watch = box.start('doctor', 'kv-events', 'ev', '--for', '600', '--json');
    for (const worker of ['prefill-0', 'decode-0'])
      await watch.readUntil(new RegExp(`^.*"worker":"${worker}".*"hashes".*\\n`, 'm'));
    watch.signal('SIGINT');
    expect(await watch.exited).toBe(0);
    const lines = watch.stdout
      .trim()
      .split('\n')
      .map(
        (line) =>
          JSON.parse(line) as { worker?: string; event?: { hashes: string[]; tokens: number[] }; tallies?: object[] },
      );
    // The proof of the pair alone has filled blocks on both sides.
    for (const worker of ['prefill-0', 'decode-0']) {
      const event = lines.find((line) => line.worker === worker)?.event;
      expect(event?.hashes[0]).toMatch(/^\d+$/);
      expect(event?.tokens.length).toBe(64 * event!.hashes.length);
    }
    expect(lines.at(-1)?.tallies).toEqual([
      expect.objectContaining({ worker: 'prefill-0', removed: 0, problems: 0 }),
      expect.objectContaining({ worker: 'decode-0', removed: 0, problems: 0 }),
    ]);
    expect((await box.run('stop', 'ev')).code).toBe(0);
  });
});
