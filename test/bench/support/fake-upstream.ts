// A server that costs as little as possible: it waits for the end of a request and writes bytes made beforehand.
// Whole answers for bodies that do not ask for a stream; else EVENTS chunks, one write each, as an engine would.
// usage: node fake-upstream.ts EVENTS → prints its port
import net, { type AddressInfo } from 'node:net';

const events = Number(process.argv[2]);
const model = 'bench-model';
const usage = { prompt_tokens: 8, completion_tokens: events, total_tokens: 8 + events };
const completion = (text: string, finish_reason: string | null) => ({
  id: 'cmpl-0123456789abcdef0123456789abcdef',
  object: 'text_completion',
  created: 1_700_000_000,
  model,
  choices: [{ index: 0, text, logprobs: null, finish_reason, stop_reason: null }],
});
const chunk = (text: string): Buffer => Buffer.from(`${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`);
const event = (value: object): Buffer => chunk(`data: ${JSON.stringify(value)}\n\n`);
const json = (value: object): Buffer => {
  const body = JSON.stringify(value);
  return Buffer.from(
    `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
};

const whole = json({ ...completion(' tok', 'length'), usage });
const models = json({ object: 'list', data: [{ id: model, object: 'model', max_model_len: 131072 }] });
const streamHead = Buffer.from(
  'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n',
);
const streamEvent = event(completion(' tok', null));
const streamEnd = Buffer.concat([
  event(completion(' tok', 'length')),
  event({ ...completion('', null), choices: [], usage }),
  chunk('data: [DONE]\n\n'),
  Buffer.from('0\r\n\r\n'),
]);

const server = net.createServer((socket) => {
  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy());
  let text = '';
  socket.setEncoding('latin1').on('data', (part: string) => {
    text += part;
    const end = text.indexOf('\r\n\r\n');
    if (end === -1) return;
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(text.slice(0, end + 2))?.[1] ?? 0);
    if (text.length < end + 4 + length) return;
    const isGet = text.startsWith('GET ');
    const streams = text.includes('"stream":true', end);
    text = '';
    if (isGet) socket.write(models);
    else if (!streams) socket.write(whole);
    else {
      socket.write(streamHead);
      for (let index = 1; index < events; index += 1) socket.write(streamEvent);
      socket.write(streamEnd);
    }
  });
});
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port));
process.on('SIGTERM', () => process.exit(0));
