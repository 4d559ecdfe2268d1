import { describe, expect, it } from 'vitest';
import { openaiEngine } from '../../../../src/engines/openai/openai-engine.ts';
import type { WorkerSettings } from '../../../../src/engines/worker.ts';
import { planText, problemsOf } from '../../../helpers/recipes.ts';
import { workerSettings } from '../../../helpers/worker-settings.ts';

const worker = (change: Partial<WorkerSettings> = {}) =>
  workerSettings({ role: 'aggregated', url: 'http://10.0.0.5:8000', ...change });

describe('openai', () => {
  it('becomes a worker that dynamo does not start', async () => {
    const plan = await planText(`model: m
engine: openai
workers:
  aggregated:
    - url: http://10.0.0.5:8000
    - { engine: mocker }
`);
    const [external, own] = plan.processes;
    expect(external).toMatchObject({
      name: 'aggregated-0',
      engine: 'openai',
      external: true,
      url: 'http://10.0.0.5:8000',
      argv: [],
      ports: {},
      gpus: [],
      readiness: [
        { kind: 'http', path: '/v1/models' },
        { kind: 'model-listed', model: 'm' },
      ],
    });
    expect(own).not.toHaveProperty('external');
    expect(plan.warnings).toEqual([]);
  });

  it.each([
    [{ url: null }, /needs `url`/],
    [{ url: '10.0.0.5:8000' }, /plain HTTP|such as/],
    [{ url: 'https://api.example.com' }, /use http:/],
    [{ url: 'http://user:pw@host' }, /credentials do not belong/],
    [{ url: 'http://host:8000/v1' }, /expected no path/],
    [{ replicas: 2 }, /one URL is one worker/],
    [{ port: 8000 }, /stands in `url`/],
    [{ args: { seed: 1 } }, /does not start this server/],
    [{ env: { A: 'b' } }, /does not start this server/],
    [{ command: ['x'] }, /does not start this server/],
    [{ kvEvents: true }, /does not start this server/],
  ] as [Partial<WorkerSettings>, RegExp][])('refuses %j', (change, message) => {
    const { problems } = openaiEngine.check(worker(change));
    expect(problems.map((problem) => problem.message)).toEqual([expect.stringMatching(message)]);
  });

  it('is the only one that takes a url', async () => {
    const text = 'model: m\nengine: mocker\nworkers: { aggregated: { url: "http://x:1" } }\n';
    expect(await problemsOf(text)).toEqual([expect.stringMatching(/`url` is for `engine: openai`$/)]);
  });
});
