// A server whose first token takes TTFT ms and every further one ITL ms, each due at a fixed time after the request.
// GET answers with what it really did since the last GET: {"ttftMs", "itlMs"}, medians.
// usage: node paced-upstream.ts TTFT_MS ITL_MS EVENTS → prints its port
import http from 'node:http';
import type { AddressInfo } from 'node:net';

const [ttftMs, itlMs, events] = process.argv.slice(2).map(Number) as [number, number, number];
const event = (value: object): string => `data: ${JSON.stringify(value)}\n\n`;
const token = event({ choices: [{ index: 0, text: ' tok', finish_reason: null }] });
const last =
  event({ choices: [{ index: 0, text: ' tok', finish_reason: 'length' }] }) +
  event({ choices: [], usage: { prompt_tokens: 8, completion_tokens: events } }) +
  'data: [DONE]\n\n';

let ttfts: number[] = [];
let itls: number[] = [];
const median = (values: number[]): number => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

const server = http.createServer((request, response) => {
  const start = performance.now();
  if (request.method === 'GET') {
    response.end(JSON.stringify({ ttftMs: median(ttfts), itlMs: median(itls) }));
    ttfts = [];
    itls = [];
    return;
  }
  let first = 0;
  request.resume().on('end', () => {
    response.setHeader('content-type', 'text/event-stream');
    let sent = 0;
    const next = (): void => {
      sent += 1;
      const now = performance.now();
      if (sent === 1) {
        first = now;
        ttfts.push(now - start);
      }
      if (sent === events) {
        itls.push((now - first) / (events - 1));
        response.end(last);
        return;
      }
      response.write(token);
      // Against the clock of the request, so that late timers do not add up.
      setTimeout(next, Math.max(0, start + ttftMs + sent * itlMs - performance.now()));
    };
    setTimeout(next, Math.max(0, start + ttftMs - performance.now()));
  });
});
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port));
process.on('SIGTERM', () => process.exit(0));
