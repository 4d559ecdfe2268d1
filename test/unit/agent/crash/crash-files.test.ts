import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { CrashReporter } from '../../../../src/agent/crash/crash-reporter.ts';
import { EventLog } from '../../../../src/supervise/event-log.ts';
import { tmpDir } from '../../../helpers/tmp-dir.ts';
import { trivialProcess } from '../../../helpers/trivial-plan.ts';

let tmp: ReturnType<typeof tmpDir>;
let told: string[];
beforeEach(() => {
  tmp = tmpDir();
  told = [];
});
afterEach(() => tmp[Symbol.dispose]());

/** On a machine whose kernel has nothing to say: that of the test may have killed something a moment ago. */
const reporter = (folder = path.join(tmp.dir, 'crash-reports')) =>
  new CrashReporter(
    folder,
    new EventLog(path.join(tmp.dir, 'events'), 'test', (event) => told.push(event.message)),
    async () => ({ gpus: [], kernelLines: [] }),
  );

function facts(name: string, second: number) {
  return {
    spec: trivialProcess(name),
    incarnation: 1,
    at: `2026-01-31T12:00:${String(second).padStart(2, '0')}.123Z`,
    pid: 1,
    code: 3,
    signal: null,
    how: 'exit status 3',
    killedBecause: null,
    readyForMs: null,
    wasDoing: null,
    lastLines: ['oops'],
    logFile: '/x.log',
    peers: [],
  };
}

it('writes a text and the same as JSON, and keeps so many of each process', async () => {
  const reports = reporter();
  for (let second = 0; second < 25; second += 1) reports.report(facts('frontend', second), () => {});
  const { report } = reports.report(facts('frontend-1', 0), () => {});
  await reports.settled();
  expect(readFileSync(report!, 'utf8')).toContain('frontend-1 on local ended unasked');
  expect(JSON.parse(readFileSync(report!.replace('.txt', '.json'), 'utf8'))).toMatchObject({
    schemaVersion: 1,
    process: { name: 'frontend-1' },
    cause: 'exit status 3',
    lastLines: ['oops'],
  });
  const files = readdirSync(path.dirname(report!));
  expect(files.filter((file) => file.startsWith('frontend-2026') && file.endsWith('.txt'))).toHaveLength(20);
  expect(files).toHaveLength(42);
  expect(files).toContain('frontend-20260131T120024Z-1.txt');
  expect(files).not.toContain('frontend-20260131T120004Z-1.json');
});

it('tells why a report could not be written, and goes on', async () => {
  writeFileSync(path.join(tmp.dir, 'file'), '');
  const reports = reporter(path.join(tmp.dir, 'file', 'below'));
  expect(reports.report(facts('decode-0', 0), () => {})).toEqual({ cause: 'exit status 3', fix: null, report: null });
  await reports.settled();
  expect(told).toHaveLength(1);
});
