import { describe, expect, it } from 'vitest';
import { provePair } from '../../src/supervise/pair-proof/prove-pair.ts';
import { type SglangFault, startSglang } from '../fixtures/engines/servers/sglang-server.ts';
import { startTrtllm, type TrtllmFault, type TrtllmOptions } from '../fixtures/engines/servers/trtllm-server.ts';
import {
  arrived,
  computesItself,
  errorFinish,
  fetchesBlocks,
  noParams,
  otherTokens,
  prefill,
  pullFailed,
  type RankFault,
  rankedPair,
  wrongBlocks,
} from '../fixtures/engines/vllm.ts';
import { freePort } from '../helpers/free-port.ts';
import { type ScriptedWorker, startScriptedWorker, type WorkerScript } from '../helpers/scripted-worker.ts';

const never = new AbortController().signal;
const names = { prefill: 'prefill-0', decode: 'decode-0', model: 'demo', blockSize: 16 };
const failsWith = (message: string | RegExp) => ({
  code: 'KV_PATH_FAILED',
  message: (typeof message === 'string'
    ? expect.stringContaining(message)
    : expect.stringMatching(message)) as unknown as string,
});

describe('the proof of a vLLM pair', () => {
  async function prove(prefillScript: WorkerScript, decodeScript: (worker: () => ScriptedWorker) => WorkerScript) {
    await using first = await startScriptedWorker(prefillScript);
    await using second: ScriptedWorker = await startScriptedWorker(decodeScript(() => second));
    second.metrics = arrived(3, 0);
    const urls = { prefillUrl: first.url, decodeUrl: second.url };
    return await provePair({ ...names, ...urls, dialect: 'vllm-nixl', bootstrap: null }, never);
  }

  it('wants the decode worker’s own transfer counters to rise', async () => {
    expect(await prove(prefill, fetchesBlocks)).toMatchObject({ bytes: 65_536, transferMs: 2, promptTokens: 10 });
  });

  it('tries again when the first contact fails, and tells', async () => {
    const meetsLate = (worker: () => ScriptedWorker): WorkerScript => {
      const fetches = fetchesBlocks(worker);
      return (request, count) => (count === 0 ? pullFailed(request, count) : fetches(request, count));
    };
    const proof = await prove(prefill, meetsLate);
    expect(proof.failedTries).toEqual([expect.stringContaining('the decode leg answered 500')]);
    expect((await prove(prefill, fetchesBlocks)).failedTries).toEqual([]);
  });

  it('is not fooled by an answer while the counters are flat', async () => {
    await expect(prove(prefill, () => computesItself)).rejects.toMatchObject(failsWith('no KV block arrived'));
  });

  it('is not fooled by another prompt’s blocks, which are counted and answered with 200', async () => {
    await expect(prove(prefill, wrongBlocks)).rejects.toMatchObject(failsWith('generated another first token'));
  });

  it('wants both legs to read the same prompt', async () => {
    await expect(prove(prefill, otherTokens)).rejects.toMatchObject(failsWith('they tokenize differently'));
  });

  it.each([
    ['leg 1 has no parameters', noParams, () => computesItself],
    ['leg 2 answers 500', prefill, () => pullFailed],
    ['leg 2 ends with finish reason error', prefill, () => errorFinish],
  ] as [string, WorkerScript, () => WorkerScript][])('fails when %s', async (_, first, second) => {
    await expect(prove(first, second)).rejects.toMatchObject({ code: 'KV_PATH_FAILED' });
  });
});

describe('the proof of a vLLM pair with data-parallel ranks', () => {
  async function prove(ranks: { prefill: number; decode: number }, fault?: RankFault) {
    const workers = () => ({ prefill: first, decode: second });
    const fake = rankedPair(ranks, workers, fault);
    await using first: ScriptedWorker = await startScriptedWorker(fake.prefill);
    await using second: ScriptedWorker = await startScriptedWorker(fake.decode);
    fake.start();
    const urls = { prefillUrl: first.url, decodeUrl: second.url };
    const proof = await provePair({ ...names, ...urls, dialect: 'vllm-nixl', bootstrap: null }, never);
    return { proof, seen: fake.seen };
  }

  it('takes each rank of both sides', async () => {
    const { proof, seen } = await prove({ prefill: 2, decode: 3 });
    expect(seen).toEqual(['prefill 0', 'decode 0', 'prefill 1', 'decode 1', 'prefill 0', 'decode 2']);
    expect(proof.bytes).toBe(3 * 65_536);
    expect(proof.facts).toContain(
      'prefill rank 1 → decode rank 1: vllm:nixl_xfer_time_seconds_count of the decode worker rose by 1',
    );
  });

  it('names no rank to a side that has only one', async () => {
    expect((await prove({ prefill: 1, decode: 2 })).seen).toEqual(['prefill -', 'decode 0', 'prefill -', 'decode 1']);
    expect((await prove({ prefill: 1, decode: 1 })).seen).toEqual(['prefill -', 'decode -']);
  });

  it('is not fooled by another rank that receives what this one does not', async () => {
    await expect(prove({ prefill: 2, decode: 2 }, 'last-decode-rank-flat')).rejects.toMatchObject(
      failsWith(/prefill rank 1 → decode rank 1: .*no KV block arrived/),
    );
  });

  it('is not fooled by a prefill worker that has another rank compute it', async () => {
    await expect(prove({ prefill: 2, decode: 1 }, 'header-ignored')).rejects.toMatchObject(
      failsWith(/prefill rank 1: .*does not follow x-data-parallel-rank/),
    );
  });
});

describe('the proof of an SGLang pair', () => {
  async function prove(
    faults: { prefill?: SglangFault[]; decode?: SglangFault[] },
    waitMs = 30_000,
    cacheReport = true,
    ranks = { prefill: 1, decode: 1 },
  ) {
    const bootstrapPort = await freePort();
    const common = { host: '127.0.0.1', port: 0, model: 'demo', pageSize: 16, cacheReport, waitMs };
    const prefillOnly = { bootstrapPort, faults: faults.prefill ?? [], ranks: ranks.prefill };
    await using first = await startSglang({ ...common, mode: 'prefill', ...prefillOnly });
    await using second = await startSglang({
      ...common,
      mode: 'decode',
      faults: faults.decode ?? [],
      ranks: ranks.decode,
    });
    const pair = { ...names, prefillUrl: first.url, decodeUrl: second.url, dialect: 'sglang-bootstrap' as const };
    return await provePair({ ...pair, bootstrap: { host: '127.0.0.1', port: bootstrapPort } }, never);
  }

  it('wants the prefill worker’s transfer counters to rise, and tells bytes, time and cached tokens', async () => {
    const proof = await prove({});
    // 49 words in pages of 16: four pages of a quarter MiB, once, though two ranks report them.
    expect(proof).toMatchObject({ bytes: 1024 ** 2, transferMs: 2.5, promptTokens: 49 });
    expect(proof.facts.at(-1)).toMatch(/reports 48 cached tokens/);
    expect((await prove({}, 30_000, false)).facts.at(-1)).toMatch(/reports no cached tokens/);
  });

  it.each([
    [{ prefill: ['counter-flat'] }, 'no KV page was sent'],
    [{ prefill: ['failed-transfer'] }, 'count a failed transfer'],
    [{ decode: ['error-after-200'] }, /the decode leg answered 500.*KVTransferError/],
  ] as [Parameters<typeof prove>[0], string | RegExp][])('fails with %j', async (faults, message) => {
    await expect(prove(faults)).rejects.toMatchObject(failsWith(message));
  });

  describe('with data-parallel ranks', () => {
    const ranked = (prefill: SglangFault[] = [], ranks = { prefill: 3, decode: 2 }) =>
      prove({ prefill }, 30_000, true, ranks);
    const counted = 'sglang:kv_transfer_latency_ms_count of the prefill worker rose by 1';

    it('takes each rank of both sides, and wants that rank’s own counters to rise', async () => {
      const proof = await ranked();
      expect(proof.bytes).toBe(3 * 1024 ** 2);
      expect(proof.facts).toEqual([
        `prefill rank 0 → decode rank 0: ${counted}`,
        expect.stringMatching(/^prefill rank 0 → decode rank 0: asked again, .*48 cached tokens/),
        `prefill rank 1 → decode rank 1: ${counted}`,
        `prefill rank 2 → decode rank 0: ${counted}`,
      ]);
    });

    it('takes every decode rank where those are more', async () => {
      const proof = await ranked([], { prefill: 1, decode: 3 });
      expect(proof.facts.filter((fact) => fact.includes(counted))).toEqual(
        [0, 1, 2].map((rank) => `decode rank ${rank}: ${counted}`),
      );
    });

    it('is not fooled by other ranks that transfer', async () => {
      await expect(ranked(['last-rank-flat'])).rejects.toMatchObject(
        failsWith(/prefill rank 2 → decode rank 0: .*no KV page was sent/),
      );
    });

    it('says of which ranks no count is seen', async () => {
      const proof = await ranked(['last-rank-elsewhere']);
      expect(proof.facts.at(-1)).toMatch(/^prefill rank 2 → decode rank 0: answered; .*no count confirms/);
    });

    it('takes the counts of a server that does not tell them by rank', async () => {
      const proof = await ranked(['no-rank-labels']);
      expect(proof.facts.filter((fact) => fact.endsWith(counted))).toHaveLength(3);
      await expect(ranked(['no-rank-labels', 'counter-flat'])).rejects.toMatchObject(failsWith('no KV page was sent'));
    });
  });

  it('ends the waiting leg at once when the other one fails', async () => {
    // Nobody comes to the room: prefill gives up after its bootstrap timeout.
    await expect(prove({ prefill: ['no-meeting'] }, 300)).rejects.toMatchObject(failsWith(/leg answered 500/));
    // A decode worker that answers garbage with 200 leaves prefill alone in the room.
    await expect(prove({ decode: ['garbage'] }, 300)).rejects.toMatchObject(
      failsWith(/the prefill leg answered 500.*KVPoll\.Bootstrapping/),
    );
  });

  it('fails with a decode worker that cannot forget a prefill worker of before, and works when that one is new too', async () => {
    const bootstrapPort = await freePort();
    const common = { host: '127.0.0.1', port: 0, model: 'demo', pageSize: 16, cacheReport: true, waitMs: 30_000 };
    const startPrefill = () => startSglang({ ...common, mode: 'prefill', bootstrapPort });
    const startDecode = () => startSglang({ ...common, mode: 'decode', faults: ['stale-peer'] });
    const proveWith = (prefillUrl: string, decodeUrl: string) =>
      provePair(
        {
          ...names,
          prefillUrl,
          decodeUrl,
          dialect: 'sglang-bootstrap',
          bootstrap: { host: '127.0.0.1', port: bootstrapPort },
        },
        never,
      );
    await using decode = await startDecode();
    {
      await using first = await startPrefill();
      expect((await proveWith(first.url, decode.url)).promptTokens).toBe(49);
    }
    await using second = await startPrefill();
    await expect(proveWith(second.url, decode.url)).rejects.toMatchObject(failsWith(/NIXL_ERR_NOT_FOUND/));
    await using fresh = await startDecode();
    expect((await proveWith(second.url, fresh.url)).promptTokens).toBe(49);
  });

  it('needs to know the bootstrap server', async () => {
    const urls = { prefillUrl: 'http://127.0.0.1:1', decodeUrl: 'http://127.0.0.1:1' };
    await expect(
      provePair({ ...names, ...urls, dialect: 'sglang-bootstrap', bootstrap: null }, never),
    ).rejects.toMatchObject(failsWith('has no bootstrap server'));
  });
});

describe('the proof of a TensorRT-LLM pair', () => {
  async function prove(
    faults: { context?: TrtllmFault[]; generation?: TrtllmFault[] },
    change: Partial<TrtllmOptions> = {},
  ) {
    const common = { host: '127.0.0.1', port: 0, model: 'demo', blockSize: 16, perfMetrics: true, ...change };
    await using context = await startTrtllm({ ...common, faults: faults.context ?? [] });
    await using generation = await startTrtllm({ ...common, faults: faults.generation ?? [] });
    const urls = { prefillUrl: context.url, decodeUrl: generation.url };
    return await provePair({ ...names, ...urls, dialect: 'trtllm-context-first', bootstrap: null }, never);
  }

  it('wants the generation server to report KV cache received for this very request', async () => {
    expect(await prove({})).toMatchObject({
      bytes: 49 * 1024,
      transferMs: expect.closeTo(2, 3) as number,
      promptTokens: 49,
    });
  });

  it.each([
    [{ generation: ['counter-flat'] }, 'reports no KV cache that was received'],
    [{ generation: ['ignores-state'] }, 'reports no KV cache that was received'],
    [{ generation: ['error-after-200'] }, /the decode leg answered 500/],
    [{ context: ['no-state'] }, 'no disaggregated_params'],
  ] as [Parameters<typeof prove>[0], string | RegExp][])('fails with %j', async (faults, message) => {
    await expect(prove(faults)).rejects.toMatchObject(failsWith(message));
  });

  it('fails with a generation server that cannot forget a context server of before', async () => {
    const port = await freePort();
    const common = { host: '127.0.0.1', model: 'demo', blockSize: 16, perfMetrics: true };
    await using generation = await startTrtllm({ ...common, port: 0, faults: ['stale-peer'] });
    const proveOnce = async () => {
      await using context = await startTrtllm({ ...common, port });
      const urls = { prefillUrl: context.url, decodeUrl: generation.url };
      return await provePair({ ...names, ...urls, dialect: 'trtllm-context-first', bootstrap: null }, never);
    };
    expect((await proveOnce()).bytes).toBe(49 * 1024);
    await expect(proveOnce()).rejects.toMatchObject(failsWith(/the decode leg answered 500.*is gone/));
  });

  it('proves nothing without the reports, and says how to turn them on', async () => {
    await expect(prove({}, { perfMetrics: false })).rejects.toMatchObject({
      ...failsWith('does not report it'),
      hint: expect.stringContaining('return_perf_metrics') as string,
    });
  });
});
