import { once } from 'node:events';
import net from 'node:net';
import { freePort } from './free-port.ts';

/** One request as the worker got it, byte for byte. */
export interface WorkerRequest {
  line: string;
  headers: Map<string, string>;
  body: Buffer;
  json: Record<string, unknown>;
  socket: net.Socket;
  /** How many requests came before it on its connection. */
  nth: number;
}

/** Answers requests; GETs are answered by the worker itself. */
export type WorkerScript = (request: WorkerRequest, count: number) => void;

export interface ScriptedWorker extends AsyncDisposable {
  url: string;
  port: number;
  /** Completion requests so far. */
  requests: WorkerRequest[];
  /** Sockets that have been closed while their last request had no complete answer from the script. */
  sockets: Set<net.Socket>;
  script: WorkerScript;
  /** `process_start_time_seconds` it reports. */
  processStart: number;
  /** More lines of its /metrics; undefined: it does not answer there. */
  metrics: string | undefined;
  /** How often it was asked for /metrics. */
  readings: number;
  /** Stops listening and cuts all connections. */
  die(): Promise<void>;
}

export const PROCESS_START = 1_767_225_600.25;

/**
 * A worker that speaks HTTP as the script says, over plain sockets. Its port stays its own when it dies: from the
 * ephemeral range, a connection of the test's could be given it, even one to itself.
 */
export async function startScriptedWorker(script: WorkerScript, port?: number): Promise<ScriptedWorker> {
  const server = net.createServer({ noDelay: true });
  server.listen(port ?? (await freePort()), '127.0.0.1');
  await once(server, 'listening');
  const address = server.address() as net.AddressInfo;
  const worker: ScriptedWorker = {
    url: `http://127.0.0.1:${address.port}`,
    port: address.port,
    requests: [],
    sockets: new Set(),
    script,
    processStart: PROCESS_START,
    metrics: '',
    readings: 0,
    async die() {
      for (const socket of worker.sockets) socket.destroy();
      if (!server.listening) return;
      server.close();
      await once(server, 'close');
    },
    [Symbol.asyncDispose]: () => worker.die(),
  };
  server.on('connection', (socket) => serve(worker, socket));
  return worker;
}

function serve(worker: ScriptedWorker, socket: net.Socket): void {
  worker.sockets.add(socket);
  socket.on('close', () => worker.sockets.delete(socket));
  socket.on('error', () => {});
  let held = Buffer.alloc(0);
  let nth = 0;
  socket.on('data', (bytes) => {
    held = Buffer.concat([held, bytes]);
    for (;;) {
      const headEnd = held.indexOf('\r\n\r\n');
      if (headEnd < 0) return;
      const [line = '', ...lines] = held.toString('latin1', 0, headEnd).split('\r\n');
      const headers = new Map(
        lines.map((text) => [text.slice(0, text.indexOf(':')).toLowerCase(), text.slice(text.indexOf(':') + 1).trim()]),
      );
      const length = Number(headers.get('content-length') ?? 0);
      if (held.length < headEnd + 4 + length) return;
      const body = Buffer.from(held.subarray(headEnd + 4, headEnd + 4 + length));
      held = held.subarray(headEnd + 4 + length);
      if (line.startsWith('GET /v1/models')) sendBody(socket, '{"object":"list","data":[{"id":"demo"}]}');
      else if (line.startsWith('GET /metrics')) {
        worker.readings += 1;
        if (worker.metrics === undefined) socket.destroy();
        else sendBody(socket, `process_start_time_seconds ${worker.processStart}\n${worker.metrics}`);
      } else {
        const json = JSON.parse(body.toString()) as Record<string, unknown>;
        const request = { line, headers, body, json, socket, nth };
        worker.requests.push(request);
        worker.script(request, worker.requests.length - 1);
      }
      nth += 1;
    }
  });
}

/** A whole answer with its length. */
export function sendBody(socket: net.Socket, body: string, status = '200 OK', headers = ''): void {
  socket.write(
    `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n${headers}\r\n${body}`,
  );
}

export const STREAM_HEAD =
  'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n';
export const STREAM_END = '0\r\n\r\n';

/** One HTTP chunk. */
export const chunk = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;

/** One event in a chunk of its own. */
export const event = (data: unknown): string =>
  chunk(`data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`);

export const roleEvent = event({
  choices: [{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }],
});
export const tokenEvent = (text: string, finish: string | null = null): string =>
  event({ choices: [{ index: 0, delta: { content: text }, finish_reason: finish }] });
export const usageEvent = (completion: number, cached = 0): string =>
  event({
    choices: [],
    usage: { prompt_tokens: 10, completion_tokens: completion, prompt_tokens_details: { cached_tokens: cached } },
  });
export const doneEvent = event('[DONE]');

/** A complete stream of the given tokens. */
export function streamOf(tokens: readonly string[]): string {
  const events = tokens.map((text, index) => tokenEvent(text, index === tokens.length - 1 ? 'stop' : null));
  return [STREAM_HEAD, roleEvent, ...events, usageEvent(tokens.length), doneEvent, STREAM_END].join('');
}

export const KV_PARAMS =
  '{"do_remote_prefill": true,"remote_block_ids":[[1,18446744073709551615]],"remote_engine_id":"e","z":1,"a":2}';

/** A prefill worker: answers leg 1 with parameters. */
export const prefillScript: WorkerScript = ({ socket }) =>
  sendBody(
    socket,
    `{"id":"x","choices":[{"index":0,"text":"a","token_ids":[7],"finish_reason":"length"}],"usage":{"prompt_tokens":10,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":7}},"kv_transfer_params":${KV_PARAMS}}`,
  );

/** A worker that generates: streamed or whole as asked. */
export const decodeScript: WorkerScript = ({ socket, json }) => {
  if (json['stream'] === true) socket.write(streamOf(['Hello', ' world']));
  else {
    sendBody(
      socket,
      '{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"Hello world"},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":0}}}',
    );
  }
};
