import { describe, expect, it } from 'vitest';
import { planText, recordedFacts } from '../../helpers/recipes.ts';

const gpus = recordedFacts('8xh100');

/** What the frontend is told of leases, and what the prefill workers are. */
async function leases(models: string) {
  const { processes } = await planText(`name: d\nmodels:\n${models}`, gpus);
  const frontend = processes.find((spec) => spec.role === 'frontend')!;
  const at = frontend.argv.indexOf('--kv-lease-secs');
  return {
    frontend: at < 0 ? null : Number(frontend.argv[at + 1]),
    prefill: processes.filter((spec) => spec.role === 'prefill').map(({ argv, env, files }) => ({ argv, env, files })),
  };
}

const model = (name: string, engine: string, lease?: string): string =>
  `  - { model: org/${name}, servedModelName: ${name}, engine: ${engine}, workers: { prefill: {}, decode: {} }${lease ? `, kvTransfer: { lease: ${lease} }` : ''} }\n`;

describe('the lease of handed-over KV cache', () => {
  it('is the engine’s own for both sides when the recipe names none', async () => {
    expect((await leases(model('a', 'vllm'))).frontend).toBeNull();
  });

  it('reaches prefill workers and frontends alike', async () => {
    const vllm = await leases(model('a', 'vllm', '90s'));
    expect(vllm.frontend).toBe(90);
    expect(vllm.prefill[0]?.argv.join(' ')).toContain('"kv_lease_duration":90');
    const mocker = await leases(model('a', 'mocker', '90s'));
    expect(mocker.frontend).toBe(90);
    expect(mocker.prefill[0]?.argv.join(' ')).toContain('--kv-lease-duration 90');
  });

  it('is the shortest one, that of a model that names none included', async () => {
    expect((await leases(model('a', 'vllm', '2m') + model('b', 'vllm'))).frontend).toBe(30);
    expect((await leases(model('a', 'vllm', '2m') + model('b', 'mocker', '40s'))).frontend).toBe(40);
  });

  it('of SGLang and TensorRT-LLM is a wait that ends in an error: frontends need not know it', async () => {
    const sglang = await leases(model('a', 'sglang', '5s') + model('b', 'vllm', '2m'));
    expect(sglang.frontend).toBe(120);
    expect(sglang.prefill[0]?.env).toMatchObject({
      SGLANG_DISAGGREGATION_BOOTSTRAP_TIMEOUT: '5',
      SGLANG_DISAGGREGATION_WAITING_TIMEOUT: '5',
    });
    const trtllm = await leases(model('a', 'trtllm', '5s'));
    expect(trtllm.frontend).toBeNull();
    expect(trtllm.prefill[0]?.files?.[0]?.content).toContain('"kv_transfer_timeout_ms": 5000');
  });
});
