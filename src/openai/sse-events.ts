/** The Server-Sent Events of a completion stream, on bytes: `data: <JSON>` lines, events parted by a blank line. */

const LF = 0x0a;
const CR = 0x0d;

/** Whether `bytes[0, end)` ends with the blank line that ends an event. */
export function endsEvent(bytes: Buffer, end: number): boolean {
  if (bytes[end - 1] !== LF) return false;
  return bytes[end - 2] === LF || (bytes[end - 2] === CR && bytes[end - 3] === LF);
}

/** Offset after the last whole event of `bytes`; 0 when there is none. */
export function lastEventEnd(bytes: Buffer): number {
  for (let at = bytes.length; at > 0; ) {
    const newline = bytes.lastIndexOf(LF, at - 1);
    if (newline < 0) return 0;
    if (endsEvent(bytes, newline + 1)) return newline + 1;
    at = newline;
  }
  return 0;
}

/** Offset after the event that starts at `start`; -1 when it does not end. */
export function eventEnd(bytes: Buffer, start: number): number {
  for (let at = start; ; ) {
    const newline = bytes.indexOf(LF, at);
    if (newline < 0) return -1;
    if (newline > start && endsEvent(bytes, newline + 1)) return newline + 1;
    at = newline + 1;
  }
}

export interface SseEvent {
  /** The event with its blank line. */
  raw: Buffer;
  /** Its data; undefined for comments and other fields only. */
  data: Buffer | undefined;
}

/** Splits whole events. A rest without a blank line counts as an event. */
export function splitEvents(bytes: Buffer): SseEvent[] {
  const events: SseEvent[] = [];
  for (let start = 0; start < bytes.length; ) {
    const found = eventEnd(bytes, start);
    const end = found < 0 ? bytes.length : found;
    const raw = bytes.subarray(start, end);
    events.push({ raw, data: dataOf(raw) });
    start = end;
  }
  return events;
}

/** The event of a JSON text. */
export function dataEvent(json: Buffer | string): Buffer {
  const text = typeof json === 'string' ? Buffer.from(json) : json;
  return Buffer.concat([Buffer.from('data: '), text, Buffer.from('\n\n')]);
}

export function isDone(data: Buffer): boolean {
  return data.length === 6 && data.toString('latin1') === '[DONE]';
}

/** The `data` lines of an event, joined by newlines. */
function dataOf(event: Buffer): Buffer | undefined {
  let joined: Buffer | undefined;
  for (let start = 0; start < event.length; ) {
    const newline = event.indexOf(LF, start);
    let end = newline < 0 ? event.length : newline;
    const next = newline < 0 ? event.length : newline + 1;
    if (event[end - 1] === CR) end -= 1;
    if (end - start >= 5 && event.toString('latin1', start, start + 5) === 'data:') {
      const from = event[start + 5] === 0x20 ? start + 6 : start + 5;
      const value = event.subarray(from, end);
      joined = joined === undefined ? value : Buffer.concat([joined, Buffer.from('\n'), value]);
    }
    start = next;
  }
  return joined;
}
