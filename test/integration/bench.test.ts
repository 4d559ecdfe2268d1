import { spawn } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { type BenchFlags, readBenchOptions } from '../../src/bench/bench-options.ts';
import { syntheticText } from '../../src/bench/prompt-text.ts';
import { type BenchOutcome, runBench } from '../../src/bench/run-bench.ts';
import { freePort } from '../helpers/free-port.ts';
import { waitFor } from '../helpers/until.ts';

/** What the scripted server does with one request; it has read the body. */
type Script = (body: RequestBody, response: http.ServerResponse, request: http.IncomingMessage) => void;
interface RequestBody {
  model: string;
  prompt?: string;
  messages?: { role: string; content: string }[];
  max_tokens: number;
  min_tokens?: number;
  ignore_eos?: boolean;
  stream: boolean;
  stream_options?: { include_usage: boolean };
  [field: string]: unknown;
}

const usageOf = (body: RequestBody) => {
  const prompt = body.prompt ?? body.messages?.[0]?.content ?? '';
  return { prompt_tokens: prompt.split(' ').length - 1, completion_tokens: body.max_tokens };
};
const event = (value: unknown): string => `data: ${JSON.stringify(value)}\n\n`;
const token = (finish_reason: string | null = null) => event({ choices: [{ index: 0, text: ' a', finish_reason }] });

function answer(body: RequestBody, response: http.ServerResponse): void {
  const usage = usageOf(body);
  if (!body.stream) {
    response.setHeader('content-type', 'application/json');
    response.end(
      JSON.stringify({ choices: [{ text: ' a', message: { content: ' a' }, finish_reason: 'length' }], usage }),
    );
    return;
  }
  response.setHeader('content-type', 'text/event-stream');
  for (let index = 1; index <= body.max_tokens; index += 1)
    response.write(token(index === body.max_tokens ? 'length' : null));
  response.end(`${event({ choices: [], usage })}data: [DONE]\n\n`);
}

let script: Script = answer;
let models = ['tiny'];
let bodies: RequestBody[] = [];
let requests: http.IncomingMessage[] = [];
let connections = 0;
const server = http.createServer((request, response) => {
  if (request.url === '/v1/models') {
    response.end(JSON.stringify({ object: 'list', data: models.map((id) => ({ id })) }));
    return;
  }
  let text = '';
  request.setEncoding('utf8');
  request.on('data', (part: string) => {
    text += part;
  });
  request.on('end', () => {
    const body = JSON.parse(text) as RequestBody;
    bodies.push(body);
    requests.push(request);
    script(body, response, request);
  });
});
server.on('connection', () => {
  connections += 1;
});
// Nothing that stands still for a while loses its connection.
server.keepAliveTimeout = 0;
/** This process's own ends of connections. */
const clients: Socket[] = [];
const onClient = (message: unknown): void => void clients.push((message as { socket: Socket }).socket);

/** Waits until the client of a connection of the server, which is in this process, has read all that was written. */
const clientHasRead = async (socket: Socket): Promise<void> => {
  await waitFor('the client to read', () =>
    clients.some((client) => client.localPort === socket.remotePort && client.bytesRead === socket.bytesWritten),
  );
};
let url = '';
const folder = mkdtempSync(path.join(os.tmpdir(), 'dynamo-bench-'));

beforeAll(async () => {
  subscribe('net.client.socket', onClient);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => {
  script = answer;
  models = ['tiny'];
  bodies = [];
  requests = [];
  connections = 0;
  clients.length = 0;
});
afterAll(() => {
  unsubscribe('net.client.socket', onClient);
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

const defaults: BenchFlags = {
  streaming: true,
  arrivalPattern: 'constant',
  benchmarkGracePeriod: '5',
  warmupRequestCount: '0',
  isl: '20',
  islStddev: '0',
  osl: '4',
  oslStddev: '0',
  speedupRatio: '1',
  traceBlockSize: '512',
  fixedSchedule: true,
  randomSeed: '0',
  requestTimeoutSeconds: '30',
  ignoreEos: true,
  useServerTokenCount: true,
  failedRequestThreshold: '0',
};

function bench(flags: Partial<BenchFlags>, to = url, signal = new AbortController().signal): Promise<BenchOutcome> {
  return runBench({ url: to, options: readBenchOptions({ ...defaults, ...flags }), command: 'dynamo bench', signal });
}

const value = ({ report }: BenchOutcome, name: string): number | undefined => report.metrics[name]?.avg;
const errorTypes = ({ report }: BenchOutcome): Record<string, number> =>
  Object.fromEntries(report.errors.map(({ type, count }) => [type, count]));

describe('a server that answers', () => {
  it('is asked for exactly what was ordered, over kept-alive connections', async () => {
    const outcome = await bench({
      concurrency: '4',
      requestCount: '40',
      extraInputs: ['temperature:0.5'],
      header: ['X-Test: 1'],
    });
    expect(value(outcome, 'request_count')).toBe(40);
    expect(outcome.report.errors).toEqual([]);
    expect(outcome.report.metrics['input_sequence_length']).toMatchObject({ min: 20, max: 20 });
    expect(outcome.report.metrics['output_sequence_length']).toMatchObject({ min: 4, max: 4, sum: 160 });
    expect(outcome.report.metrics['inter_chunk_latency']).toMatchObject({ count: 120 });
    expect(bodies[0]).toMatchObject({
      model: 'tiny',
      max_tokens: 4,
      min_tokens: 4,
      ignore_eos: true,
      stream: true,
      stream_options: { include_usage: true },
      temperature: 0.5,
    });
    expect(bodies[0]?.messages?.[0]?.content).toBe(syntheticText(0, 0, 20));
    expect(requests[0]?.headers).toMatchObject({ 'x-test': '1', accept: 'text/event-stream' });
    expect(new Set(requests.map(({ headers }) => headers['x-request-id'])).size).toBe(40);
    expect(connections).toBeLessThanOrEqual(5);
  });

  it('is measured by the definitions, whatever the chunking', async () => {
    // One event cut across writes, two events in one write, then the rest once that has been read.
    const writtenMs: number[] = [];
    script = (body, response, { socket }) => {
      response.setHeader('content-type', 'text/event-stream');
      const first = token();
      response.write(first.slice(0, 9));
      setImmediate(() => {
        response.write(first.slice(9) + token());
        void clientHasRead(socket).then(() => {
          writtenMs.push(performance.now());
          response.end(`${token('length')}${event({ choices: [], usage: usageOf(body) })}data: [DONE]\n\n`);
        });
      });
    };
    const outcome = await bench({ requestCount: '3', osl: '3' });
    for (const [index, { contentMs, startMs, endMs }] of outcome.records.entries()) {
      expect(contentMs).toHaveLength(3);
      expect(contentMs[1]! - contentMs[0]!).toBe(0);
      expect(contentMs[1]!).toBeLessThanOrEqual(writtenMs[index]!);
      expect(contentMs[2]!).toBeGreaterThanOrEqual(writtenMs[index]!);
      expect(contentMs[0]!).toBeGreaterThan(startMs);
      expect(endMs).toBeGreaterThanOrEqual(contentMs[2]!);
    }
    const { time_to_first_token: ttft, request_latency: latency, inter_token_latency: itl } = outcome.report.metrics;
    expect((latency!.avg - ttft!.avg) / 2).toBeCloseTo(itl!.avg, 6);
  });

  it('can be asked for whole answers', async () => {
    const outcome = await bench({ streaming: false, requestCount: '5', endpointType: 'completions' });
    expect(value(outcome, 'request_count')).toBe(5);
    expect(value(outcome, 'time_to_first_token')).toBeUndefined();
    expect(value(outcome, 'request_latency')).toBeGreaterThan(0);
    expect(bodies[0]).not.toHaveProperty('stream_options');
    expect(bodies[0]?.prompt).toBe(syntheticText(0, 0, 20));
  });

  it('warms up with other prompts, which are not counted', async () => {
    const outcome = await bench({ requestCount: '5', warmupRequestCount: '3' });
    expect(value(outcome, 'request_count')).toBe(5);
    expect(bodies).toHaveLength(8);
    expect(new Set(bodies.map((body) => body.messages?.[0]?.content)).size).toBe(8);
  });

  it('gets an open loop on time even when it never answers the first requests', async () => {
    script = (body, response) => {
      if (bodies.length > 5) answer(body, response);
      if (bodies.length === 10) for (const { socket } of requests.slice(0, 5)) socket.destroy();
    };
    const outcome = await bench({ requestRate: '200', requestCount: '10' });
    expect(value(outcome, 'request_count')).toBe(5);
    expect(outcome.records.map(({ scheduledMs, startMs }) => startMs >= scheduledMs!)).toEqual(Array(10).fill(true));
    expect(outcome.report.metrics['replay_sched_lag']).toMatchObject({ count: 10 });
  });

  it('may close idle connections: the request is sent again, not failed', async () => {
    // Destroys the connection instead of answering, but only connections that have served before.
    const served = new Set<Socket>();
    script = (body, response, request) => {
      if (served.has(request.socket)) {
        request.socket.destroy();
        return;
      }
      served.add(request.socket);
      answer(body, response);
    };
    const outcome = await bench({ requestCount: '6' });
    expect(value(outcome, 'request_count')).toBe(6);
    expect(outcome.report.errors).toEqual([]);
    expect(outcome.records.map(({ resent }) => resent)).toEqual([false, true, true, true, true, true]);
    expect(outcome.report.warnings.join()).toContain('5 requests were sent a second time');
  });

  it('is told apart by its workers', async () => {
    script = (body, response) => {
      response.setHeader('x-dynamo-prefill-worker', `p${bodies.length % 2}`);
      response.setHeader('x-dynamo-decode-worker', 'd0');
      answer(body, response);
    };
    const outcome = await bench({ requestCount: '6' });
    expect(outcome.report.workers).toEqual([
      { prefill: 'p1', decode: 'd0', count: 3 },
      { prefill: 'p0', decode: 'd0', count: 3 },
    ]);
  });

  it('must say which model when it has several', async () => {
    models = ['a', 'b'];
    await expect(bench({ requestCount: '1' })).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('a, b'),
    });
    expect(value(await bench({ requestCount: '1', model: 'b' }), 'request_count')).toBe(1);
    expect(bodies.at(-1)?.model).toBe('b');
    models = [];
    await expect(bench({ requestCount: '1' })).rejects.toMatchObject({ code: 'CONNECT_FAILED' });
  });
});

describe('trace replay', () => {
  const file = path.join(folder, 'trace.jsonl');
  const rows = [
    { timestamp: 1000, input_length: 600, output_length: 3, hash_ids: [0, 1] },
    { timestamp: 1000, input_length: 520, output_length: 2, hash_ids: [0, 2] },
    { timestamp: 1400, input_length: 30, output_length: 9, hash_ids: [5] },
  ];
  beforeAll(() => writeFileSync(file, rows.map((row) => `${JSON.stringify(row)}\n`).join('')));
  const flags = { trace: file, isl: undefined, osl: undefined } as unknown as Partial<BenchFlags>;

  it('keeps lengths, shared prefixes and times', async () => {
    const outcome = await bench({ ...flags, speedupRatio: '10' });
    expect(outcome.records.map(({ usage }) => [usage?.promptTokens, usage?.completionTokens])).toEqual([
      [600, 3],
      [520, 2],
      [30, 9],
    ]);
    const due = outcome.records.map(({ scheduledMs }) => scheduledMs!);
    expect(due.map((at) => Math.round(at - due[0]!))).toEqual([0, 0, 40]);
    const prompts = bodies.map((body) => body.prompt!.split(' ')).sort((a, b) => b.length - a.length);
    expect(prompts[0]!.slice(0, 513)).toEqual(prompts[1]!.slice(0, 513));
    expect(prompts[0]!.slice(513, 521)).not.toEqual(prompts[1]!.slice(513, 521));
  });

  it('can ignore the times, and says what it cut', async () => {
    const outcome = await bench({
      ...flags,
      fixedSchedule: false,
      concurrency: '2',
      maxIsl: '100',
      maxOsl: '2',
      maxRows: '2',
    });
    expect(outcome.report.metrics['input_sequence_length']).toMatchObject({ min: 100, max: 100, count: 2 });
    expect(outcome.report.metrics['output_sequence_length']).toMatchObject({ max: 2 });
    expect(outcome.report.warnings).toContain('The trace was cut: 2 inputs to 100 tokens, 1 outputs to 2 tokens.');
    expect(value(outcome, 'replay_sched_lag')).toBeUndefined();
  });

  it('refuses to schedule a trace that has no times', async () => {
    const untimed = path.join(folder, 'untimed.jsonl');
    writeFileSync(untimed, '{"input_length":5,"output_length":2}\n');
    await expect(bench({ ...flags, trace: untimed })).rejects.toMatchObject({ code: 'TRACE_INVALID' });
    expect(value(await bench({ ...flags, trace: untimed, fixedSchedule: false }), 'request_count')).toBe(1);
  });
});

describe('a server that does not answer as it should', () => {
  const faults: [name: string, script: Script, type: string][] = [
    [
      'errors',
      (_body, response) => {
        response.statusCode = 503;
        response.end(JSON.stringify({ error: { type: 'no_instances', message: 'none' } }));
      },
      'no_instances',
    ],
    [
      'an error inside a stream',
      (_body, response) => streamRaw(response, token() + event({ error: { type: 'boom', message: 'x' } })),
      'boom',
    ],
    [
      'a stream that is cut',
      (_body, response) => streamRaw(response, token(), 'cut'),
      'connection_reset|connection_closed',
    ],
    [
      'a stream that ends without a finish reason',
      (_body, response) => streamRaw(response, `${token()}data: [DONE]\n\n`),
      'truncated',
    ],
    [
      'no token counts',
      (_body, response) => streamRaw(response, `${token('length')}data: [DONE]\n\n`),
      'missing_usage',
    ],
    [
      'zero tokens',
      (_body, response) =>
        streamRaw(
          response,
          event({ choices: [{ text: '', finish_reason: 'stop' }], usage: { prompt_tokens: 1, completion_tokens: 0 } }),
        ),
      'zero_tokens',
    ],
    [
      'a finish reason that means failure',
      (body, response) => streamRaw(response, token('abort') + event({ choices: [], usage: usageOf(body) })),
      'failed_finish',
    ],
    ['no JSON', (_body, response) => streamRaw(response, 'data: {"choi\n\n'), 'invalid_json'],
    [
      'garbage on the wire',
      (_body, response) => void response.socket?.end('\0\x01\x02 not http at all\r\n\r\n'),
      'malformed_response',
    ],
    ['a reset before the first byte', (_body, response) => void response.socket?.resetAndDestroy(), 'connection_reset'],
    // The time-out of the one request that is under way.
    ['never', () => void vi.advanceTimersByTime(30_000), 'timeout'],
  ];

  function streamRaw(response: http.ServerResponse, text: string, end: 'end' | 'cut' = 'end'): void {
    response.setHeader('content-type', 'text/event-stream');
    response.write(text, () => (end === 'end' ? response.end() : response.socket?.destroy()));
  }

  it.each(faults)('with %s: counted, named, and bad for goodput', async (_name, fault, type) => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    script = (body, response, request) => {
      // Every request gets a connection of its own: a reset then is the request's, not that of an idle connection.
      response.setHeader('connection', 'close');
      if (bodies.length % 2 === 0) fault(body, response, request);
      else answer(body, response);
    };
    const outcome = await bench({ requestCount: '6', goodput: 'request_latency:100000' });
    expect(outcome.records).toHaveLength(6);
    expect(value(outcome, 'request_count')).toBe(3);
    expect(value(outcome, 'error_request_count')).toBe(3);
    expect(value(outcome, 'good_request_fraction')).toBe(0.5);
    expect(Object.keys(errorTypes(outcome)).join()).toMatch(new RegExp(`^(${type})$`));
  });

  it('that is not there', async () => {
    const gone = `http://127.0.0.1:${await freePort()}`;
    await expect(bench({ requestCount: '1' }, gone)).rejects.toMatchObject({ code: 'CONNECT_FAILED' });
    const outcome = await bench({ requestCount: '3', model: 'tiny' }, gone);
    expect(errorTypes(outcome)).toEqual({ connect_failed: 3 });
    expect(outcome.report.errors[0]?.message).toBe('ECONNREFUSED');
  });

  it('with too few tokens: a warning', async () => {
    script = (body, response) => answer({ ...body, max_tokens: 2 }, response);
    const outcome = await bench({ requestCount: '4' });
    expect(value(outcome, 'osl_mismatch_count')).toBe(4);
    expect(outcome.report.warnings.join()).toContain('4 of 4 outputs differ');
  });

  it('without token counts, when they are not asked for', async () => {
    script = (_body, response) => streamRaw(response, token() + token('length'));
    const outcome = await bench({ requestCount: '2', useServerTokenCount: false });
    expect(outcome.report.metrics['output_sequence_length']).toMatchObject({ min: 2, max: 2 });
    expect(outcome.report.metrics['input_sequence_length']).toMatchObject({ min: 20, max: 20 });
  });
});

describe('dynamo bench, the command', () => {
  interface Ended {
    status: number | null;
    stdout: string;
    stderr: string;
  }
  function start(...args: string[]): { ended: Promise<Ended>; interrupt(): void } {
    const entry = path.join(import.meta.dirname, '../../dist/cli.js');
    const child = spawn(process.execPath, [entry, 'bench', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    const seen = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => {
        seen[name] += text;
      });
    }
    const ended = new Promise<Ended>((resolve) => child.once('close', (status) => resolve({ status, ...seen })));
    return { ended, interrupt: () => child.kill('SIGINT') };
  }

  it('prints one JSON document and writes AIPerf’s files', async () => {
    const dir = path.join(folder, 'artifacts');
    const run = start(url, '--request-count', '5', '--isl', '10', '--osl', '3', '--json', '--artifact-dir', dir);
    const { status, stdout, stderr } = await run.ended;
    expect(stderr).toContain('profile_export.jsonl');
    expect(status).toBe(0);
    const json = JSON.parse(stdout) as Record<string, { avg: number }>;
    expect(json['request_count']?.avg).toBe(5);
    expect(json['time_to_first_token']?.avg).toBeGreaterThan(0);
    const exported = JSON.parse(readFileSync(path.join(dir, 'profile_export_aiperf.json'), 'utf8')) as object;
    expect(exported).toEqual(json);
    expect(readFileSync(path.join(dir, 'profile_export_aiperf.csv'), 'utf8')).toContain(
      'request_count (requests),5.00',
    );
    const lines = readFileSync(path.join(dir, 'profile_export.jsonl'), 'utf8').trim().split('\n');
    expect(lines).toHaveLength(5);
    const first = JSON.parse(lines[0]!) as {
      metrics: Record<string, { value: number }>;
      metadata: Record<string, number>;
    };
    expect(first.metrics['output_sequence_length']).toEqual({ value: 3, unit: 'tokens' });
    expect(first.metadata['request_end_ns']).toBeGreaterThan(first.metadata['request_start_ns']!);
  });

  it('ends with 8 after the report when requests failed, unless so many may', async () => {
    script = (_body, response) => {
      response.statusCode = 500;
      response.end('{}');
    };
    const { status, stdout, stderr } = await start(url, '--request-count', '3').ended;
    expect(status).toBe(8);
    expect(stdout).toContain('0 answered, 3 failed');
    expect(stderr).toContain('3 of 3 requests failed, allowed are 0 [GOAL_MISSED]');
    script = (body, response) => {
      if (bodies.length % 2) answer(body, response);
      else response.writeHead(500).end('{}');
    };
    bodies = [];
    expect((await start(url, '--request-count', '4', '--failed-request-threshold', '2').ended).status).toBe(0);
  });

  it('reports what it has when interrupted', async () => {
    let arrived = (): void => {};
    const third = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    script = (body, response) => {
      if (bodies.length < 3) answer(body, response);
      else arrived();
    };
    const run = start(url, '--request-count', '10', '--json');
    await third;
    run.interrupt();
    const { status, stdout } = await run.ended;
    const json = JSON.parse(stdout) as {
      was_cancelled: boolean;
      request_count: { avg: number };
      dynamo: { cancelled_requests: number };
    };
    expect(json).toMatchObject({ was_cancelled: true, request_count: { avg: 2 }, dynamo: { cancelled_requests: 1 } });
    expect(status).toBe(0);
  });

  it('refuses wrong flags and targets before sending anything', async () => {
    expect((await start(url, '--concurrency', 'many').ended).status).toBe(2);
    expect((await start('no-such-deployment').ended).status).toBe(7);
    expect((await start(url, '--trace', '/nonexistent.jsonl').ended).status).toBe(3);
    expect(bodies).toEqual([]);
  });
});
