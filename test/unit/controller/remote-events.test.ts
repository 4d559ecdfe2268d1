import { appendFileSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { RemoteEvents } from '../../../src/controller/remote-events.ts';
import { EventLog, eventsSince, readEvents } from '../../../src/supervise/event-log.ts';
import { tmpDir } from '../../helpers/tmp-dir.ts';

const event = (at: string, message: string, host = 'alpha') => ({
  at: `2026-01-31T12:00:${at}Z`,
  source: `agent ${host}`,
  process: null,
  type: 'state',
  message,
});

it('takes every event of another host once, over controllers', () => {
  using tmp = tmpDir();
  const file = path.join(tmp.dir, 'events.jsonl');
  const told: string[] = [];
  const open = () => new RemoteEvents(new EventLog(file, 'controller', (known) => told.push(known.message)), file);
  const first = open();
  expect(first.newestOf('alpha')).toBeNull();
  for (const known of [event('01.000', 'a'), event('02.000', 'b'), event('02.000', 'c'), event('00.500', 'd', 'beta')])
    first.take(known);
  first.take(event('02.000', 'b'));
  expect(first.newestOf('alpha')).toBe('2026-01-31T12:00:02.000Z');
  appendFileSync(file, '{"half":');
  const second = open();
  expect(second.newestOf('beta')).toBe('2026-01-31T12:00:00.500Z');
  for (const known of [event('02.000', 'b'), event('02.000', 'c'), event('02.000', 'e'), event('03.000', 'f')])
    second.take(known);
  expect(told).toEqual(['a', 'b', 'c', 'd', 'e', 'f']);
  expect(readEvents(file).map((known) => known.message)).toEqual(['a', 'b', 'c', 'd', 'f']);
  expect(readFileSync(file, 'utf8')).toContain('"message":"e"');
});

it('takes what a host tells whose clock was set back', () => {
  using tmp = tmpDir();
  const file = path.join(tmp.dir, 'events.jsonl');
  const told: string[] = [];
  const events = new RemoteEvents(new EventLog(file, 'controller', (known) => told.push(known.message)), file);
  const written = [event('40.000', 'a'), event('41.000', 'b'), event('10.000', 'c'), event('11.000', 'd')];
  for (const known of written.slice(0, 3)) events.take(known);
  expect(events.newestOf('alpha')).toBe('2026-01-31T12:00:10.000Z');
  for (const known of eventsSince(written, events.newestOf('alpha'))) events.take(known);
  for (const known of eventsSince(written, '2026-01-31T12:00:40.000Z')) events.take(known);
  expect(told).toEqual(['a', 'b', 'c', 'd']);
  expect(eventsSince(written, '2026-01-31T12:00:30.000Z').map((known) => known.message)).toEqual(['a', 'b']);
});
