import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AgentJournal, EMPTY_JOURNAL, type JournalProcess } from '../../../src/agent/agent-journal.ts';
import { tmpDir } from '../../helpers/tmp-dir.ts';
import { trivialProcess } from '../../helpers/trivial-plan.ts';

let tmp: ReturnType<typeof tmpDir>;
let file: string;
beforeEach(() => {
  tmp = tmpDir();
  file = path.join(tmp.dir, 'agent', 'journal.json');
  mkdirSync(path.dirname(file));
});
afterEach(() => tmp[Symbol.dispose]());

const entry = (name: string): JournalProcess => ({
  spec: trivialProcess(name),
  incarnation: 1,
  runId: `run-${name}`,
  wanted: true,
  restarts: 0,
  attempt: 0,
  logOffset: 0,
});

/** Nothing can be written: its folder is gone. */
const loseDisk = () => renameSync(path.dirname(file), path.join(tmp.dir, 'away'));

describe('AgentJournal', () => {
  it('is empty before anything was written, and read back by the next agent', () => {
    const journal = new AgentJournal(file);
    expect(journal.state).toEqual(EMPTY_JOURNAL);
    expect(existsSync(file)).toBe(false);
    journal.write({ phase: 'reserved', generation: 4, processes: [entry('a'), entry('b')] });
    journal.writeProcesses(new Map([['b', { incarnation: 2, wanted: false }]]), { phase: 'starting' });
    const next = new AgentJournal(file);
    expect(next.state).toEqual(journal.state);
    expect(next.state).toMatchObject({ phase: 'starting', generation: 4 });
    expect(next.process('a')).toEqual(entry('a'));
    expect(next.process('b')).toMatchObject({ incarnation: 2, wanted: false, runId: 'run-b' });
    expect(() => next.process('c')).toThrow('the journal has no process c');
  });

  it('changes nothing when it cannot be written', () => {
    const journal = new AgentJournal(file);
    journal.write({ phase: 'reserved', generation: 1 });
    loseDisk();
    expect(() => journal.write({ phase: 'committed' })).toThrow();
    expect(journal.state.phase).toBe('reserved');
  });

  it('forgets without losing the generation', () => {
    const journal = new AgentJournal(file);
    journal.write({ phase: 'committed', generation: 7, planHash: 'x', processes: [entry('a')] });
    journal.forget();
    expect(journal.state).toEqual({ ...EMPTY_JOURNAL, generation: 7 });
    expect(new AgentJournal(file).state).toEqual(journal.state);
  });

  it('forgets on a disk that takes nothing any more', () => {
    const journal = new AgentJournal(file);
    journal.write({ phase: 'committed', generation: 7 });
    loseDisk();
    journal.forget();
    expect(journal.state).toMatchObject({ phase: 'idle', generation: 7 });
  });

  it.each(['{"schemaVersion":2,"phase":"idle"}', '{}', 'null', '[]'])(
    'refuses %s: another version wrote it',
    (text) => {
      writeFileSync(file, text);
      expect(() => new AgentJournal(file)).toThrow(
        expect.objectContaining({ code: 'STATE_VERSION', message: expect.stringContaining(file) }),
      );
      expect(readFileSync(file, 'utf8')).toBe(text);
    },
  );

  it('refuses a damaged one with its name', () => {
    writeFileSync(file, '{"schemaVersion":1,"pha');
    expect(() => new AgentJournal(file)).toThrow(expect.objectContaining({ code: 'STATE_UNREADABLE' }));
    rmSync(file);
  });
});
