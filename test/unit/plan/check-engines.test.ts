import { describe, expect, it } from 'vitest';
import { planText, problemsOf, recordedFacts } from '../../helpers/recipes.ts';

const pair = (model: string, rest = '') => `model: ${model}
workers:
  prefill: { args: { block-size: 64 } }
  decode: { args: { block-size: 64 } }
${rest}`;
const gpus = recordedFacts('8xh100');

describe('checkEngines', () => {
  it('takes prefill and decode workers of every engine whose pairs a start proves', async () => {
    for (const engine of ['vllm', 'sglang', 'trtllm', 'mocker']) {
      const plan = await planText(`model: m\nengine: ${engine}\nworkers: { prefill: {}, decode: {} }\n`, gpus);
      expect(plan.pairs).toEqual([{ prefill: 'prefill-0', decode: 'decode-0' }]);
    }
  });

  it('warns of a risky combination until it is allowed by name', async () => {
    const model = 'openai/gpt-oss-20b';
    const warned = await planText(pair(model), gpus);
    expect(warned.warnings).toEqual([expect.stringMatching(/#52234.*`allow: \[hybrid-kv-transfer\]` silences this$/)]);
    expect((await planText(pair(model, 'allow: [hybrid-kv-transfer]\n'), gpus)).warnings).toEqual([]);
  });

  it('refuses a broken combination until it is allowed by name, and then still says so', async () => {
    const model = 'openai/whisper-large-v3';
    expect(await problemsOf(pair(model))).toEqual([
      expect.stringMatching(/use `aggregated`\. `allow: \[encoder-decoder-transfer\]` starts it all the same$/),
      expect.anything(),
    ]);
    const plan = await planText(pair(model, 'allow: [encoder-decoder-transfer]\n'), gpus);
    expect(plan.warnings).toEqual([expect.stringMatching(/^allowed by the recipe: NIXL does not move/)]);
  });

  it('knows the names that can be allowed', async () => {
    expect(await problemsOf(pair('m', 'allow: [hybrid-kv-transfers]\n'))).toEqual([
      expect.stringMatching(/there is no combination `hybrid-kv-transfers`; did you mean `hybrid-kv-transfer`\?$/),
    ]);
    const mocker = 'model: m\nengine: mocker\nworkers: { aggregated: {} }\nallow: [x]\n';
    expect(await problemsOf(mocker)).toEqual([expect.stringMatching(/there is no combination `x`$/)]);
  });

  it('lets workers of one model share a GPU and start by turns', async () => {
    const plan = await planText(
      'model: m\nworkers: { prefill: { workersPerGpu: 2 }, decode: { workersPerGpu: 2, replicas: 3 } }\n',
      gpus,
    );
    const workers = plan.processes.filter((spec) => spec.role !== 'frontend');
    expect(workers.map(({ name, gpus: own }) => `${name} ${own}`)).toEqual([
      ...['prefill-0 0', 'decode-0 0', 'decode-1 1', 'decode-2 1'],
    ]);
    expect(plan.stages).toEqual([['prefill-0', 'decode-1'], ['decode-0', 'decode-2'], ['frontend']]);
    expect(workers[0]?.reasons.join('\n')).toMatch(/shared with decode-0/);
    expect(workers[0]?.argv.join(' ')).toContain('--gpu-memory-utilization 0.45');
    expect(workers[0]?.env['CUDA_VISIBLE_DEVICES']).toBe('0,1');
  });

  it.each([
    ['engine: sglang\nworkers: { aggregated: { workersPerGpu: 2 } }', /sglang workers cannot share a GPU/],
    [
      'workers: { aggregated: { workersPerGpu: 2, args: { tensor-parallel-size: 2 } } }',
      /only workers with one GPU can share it; these have 2/,
    ],
  ])('refuses to share a GPU with %j', async (text, message) => {
    expect(await problemsOf(`model: m\n${text}\n`)).toEqual([expect.stringMatching(message)]);
  });

  it('passes the memory tiers and the loader of a model on to its groups, which may differ', async () => {
    const plan = await planText(
      pair(
        'm',
        'kvOffload: { cpu: 1GiB }\nload: { loader: runai_streamer, compileCache: ./cache }\nkvEvents: true\n',
      ).replace(
        'decode: { args: { block-size: 64 } }',
        'decode: { args: { block-size: 64 }, kvOffload: {}, load: default }',
      ),
      gpus,
    );
    const [prefill, decode] = plan.processes.map(({ argv, env }) => ({ text: argv.join(' '), env }));
    expect(prefill?.text).toMatch(/MultiConnector.*cpu_bytes_to_use":1073741824/);
    expect(prefill?.text).toContain('--load-format runai_streamer');
    expect(prefill?.env['VLLM_CACHE_ROOT']).toMatch(/^\/.*\/cache$/);
    expect(decode?.text).toContain('"kv_connector":"NixlConnector"');
    expect(decode?.text).not.toContain('--load-format');
    expect(decode?.text).toContain('--kv-events-config');
  });

  it('says which tiers and loaders there are', async () => {
    const base = 'model: m\nworkers: { aggregated: {} }\n';
    expect(await problemsOf(`${base}load: runai\n`)).toEqual([
      expect.stringMatching(/expected a loader \(default, runai_streamer, /),
    ]);
    expect(await problemsOf(`${base}kvOffload: { cpu: lots }\n`)).toEqual([expect.stringMatching(/expected a size/)]);
    expect(await problemsOf(`${base}kvOffload: { gpu: 1GiB }\n`)).toEqual([expect.stringMatching(/gpu/)]);
  });
});
