import { describe, expect, it } from 'vitest';
import { checkKvPath } from '../../src/doctor/check-kv-path.ts';
import { judgeMachine } from '../../src/doctor/judge-machine.ts';
import { pairByUrl } from '../../src/doctor/kv-path-targets.ts';
import { readMachine } from '../../src/doctor/read-machine.ts';
import { startSglang } from '../fixtures/engines/servers/sglang-server.ts';
import { startTrtllm } from '../fixtures/engines/servers/trtllm-server.ts';
import { freePort } from '../helpers/free-port.ts';

const { signal } = new AbortController();
const options = { repeat: 2, rdma: [], readLog: () => undefined, signal };
const unset = { bootstrapPort: undefined, blockSize: 16, promptWords: undefined };

describe('doctor kv-path by URL', () => {
  it('measures an SGLang pair that dynamo did not start', async () => {
    const bootstrapPort = await freePort();
    const common = { host: '127.0.0.1', port: 0, model: 'demo', pageSize: 16, cacheReport: true, waitMs: 20_000 };
    await using prefill = await startSglang({ ...common, mode: 'prefill', bootstrapPort });
    await using decode = await startSglang({ ...common, mode: 'decode' });
    const given = { ...unset, prefill: prefill.url, decode: decode.url, engine: 'sglang', model: 'demo' } as const;
    const target = await pairByUrl({ ...given, bootstrapPort, promptWords: 480 }, signal);
    const report = await checkKvPath(target, options);
    expect(report).toMatchObject({ ok: true, error: null, dialect: 'sglang-bootstrap' });
    // 481 words in pages of 16 make 31 pages of a quarter MiB.
    expect(report.best).toMatchObject({ promptTokens: 481, bytes: 7.75 * 1024 ** 2, transferMs: 2.5 });
    expect(report.best?.bytesPerSecond).toBe(7.75 * 1024 ** 2 * 400);
    expect(report.transport.status).toBe('unknown');
  });

  it('reports why a pair fails, and goes on', async () => {
    const common = { host: '127.0.0.1', port: 0, model: 'demo', blockSize: 16, perfMetrics: true };
    await using context = await startTrtllm({ ...common });
    await using generation = await startTrtllm({ ...common, faults: ['counter-flat'] });
    const given = { ...unset, prefill: context.url, decode: generation.url, engine: 'trtllm', model: 'demo' } as const;
    expect(await checkKvPath(await pairByUrl(given, signal), options)).toMatchObject({
      ok: false,
      error: expect.stringContaining('reports no KV cache that was received') as string,
      first: null,
    });
  });

  it('refuses what is no URL', async () => {
    const given = { ...unset, prefill: 'http://', decode: 'http://127.0.0.1:1', engine: 'vllm', model: 'm' } as const;
    await expect(pairByUrl(given, signal)).rejects.toMatchObject({ code: 'USAGE' });
  });
});

describe('doctor', () => {
  it('reads this machine', async () => {
    const findings = judgeMachine(await readMachine(process.env, signal));
    expect(findings.find(({ subject }) => subject === 'node')).toMatchObject({ status: 'ok', detail: process.version });
    for (const { status, fix } of findings)
      if (status === 'problem' || status === 'warning') expect(fix).toMatch(/\.$/);
  });
});
