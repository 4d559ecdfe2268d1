import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { EventLog } from '../../../src/supervise/event-log.ts';
import type { EventRecord } from '../../../src/supervise/protocol.ts';
import { tmpDir } from '../../helpers/tmp-dir.ts';

it('an event is one line of JSON, whatever its text, and only its owner can read it', () => {
  using tmp = tmpDir();
  const file = path.join(tmp.dir, 'events.jsonl');
  const heard: EventRecord[] = [];
  const log = new EventLog(file, 'agent local', (event) => heard.push(event));
  log.write('state', 'two\nlines and "quotes"', 'worker-0');
  log.write('stop', 'all of it');
  const lines = readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as EventRecord);
  expect(lines).toEqual(heard);
  expect(lines).toMatchObject([
    { source: 'agent local', process: 'worker-0', type: 'state', message: 'two\nlines and "quotes"' },
    { source: 'agent local', process: null, type: 'stop', message: 'all of it' },
  ]);
  expect(Date.parse(lines[0]!.at)).not.toBeNaN();
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

it('a file that cannot be written costs the line, not the action', () => {
  const heard: string[] = [];
  new EventLog('/no/such/folder/events.jsonl', 'controller', ({ type }) => heard.push(type)).write('stop', 'on');
  expect(heard).toEqual(['stop']);
});
