// A closed loop that reads as little as it can: it looks for the end of a response and sends the next request.
// usage: node load.ts PORT CONNECTIONS REQUESTS stream|whole → prints {"seconds", "cpu"} when all are answered
import net from 'node:net';

const [port, connections, requests] = process.argv.slice(2, 5).map(Number) as [number, number, number];
const streams = process.argv[5] === 'stream';
const body = JSON.stringify({
  model: 'bench-model',
  prompt: ' a b c d e f g h',
  max_tokens: 128,
  stream: streams,
  ...(streams ? { stream_options: { include_usage: true } } : {}),
});
const request = Buffer.from(
  `POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
);
const LAST_CHUNK = '\r\n0\r\n\r\n';
let left = requests;
let open = requests;
const cpu = process.cpuUsage();
const started = performance.now();

function client(): void {
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
  let tail = '';
  let expected = -1;
  let got = 0;
  const next = (): void => {
    tail = '';
    expected = -1;
    got = 0;
    if (left === 0) {
      socket.end();
      return;
    }
    left -= 1;
    socket.write(request);
  };
  const done = (): void => {
    open -= 1;
    if (open === 0) {
      const { user, system } = process.cpuUsage(cpu);
      console.log(JSON.stringify({ seconds: (performance.now() - started) / 1_000, cpu: (user + system) / 1e6 }));
    }
    next();
  };
  socket.on('connect', next);
  socket.on('error', (error) => {
    throw error;
  });
  socket.on('close', () => {
    if (got > 0) throw new Error('the connection closed inside a response');
  });
  socket.on('data', (part: Buffer) => {
    got += part.length;
    if (expected < 0) {
      tail += part.toString('latin1');
      const end = tail.indexOf('\r\n\r\n');
      if (end === -1) return;
      if (!tail.startsWith('HTTP/1.1 200')) throw new Error(tail.slice(0, 500));
      const length = /\r\ncontent-length: *(\d+)/i.exec(tail.slice(0, end + 2))?.[1];
      expected = length === undefined ? 0 : end + 4 + Number(length);
      tail = tail.slice(-LAST_CHUNK.length);
    } else if (expected === 0) {
      tail = (tail + part.toString('latin1', Math.max(0, part.length - LAST_CHUNK.length))).slice(-LAST_CHUNK.length);
    }
    if (expected > 0 ? got >= expected : tail === LAST_CHUNK) done();
  });
}
for (let index = 0; index < connections; index += 1) client();
