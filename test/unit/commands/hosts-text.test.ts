import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { DynamoError } from '../../../src/base/errors.ts';
import { renderCheck, renderHost } from '../../../src/commands/hosts-text.ts';
import { parseFacts } from '../../../src/hosts/facts/parse-facts.ts';
import { readSections } from '../../../src/hosts/facts/sections.ts';
import type { HostEntry } from '../../../src/hosts/host-entry.ts';
import { hostProblems } from '../../../src/hosts/host-problems.ts';
import type { HostReport } from '../../../src/hosts/inspect-hosts.ts';

function report(name: string, fixture: string): HostReport {
  const entry: HostEntry = { name, address: `${name}.example`, local: false, labels: { rack: 'r1' }, env: {} };
  const text = readFileSync(path.resolve(import.meta.dirname, `../../fixtures/probe/${fixture}.txt`), 'utf8');
  const facts = parseFacts(readSections(text), entry, { sentAt: 1_760_000_000_480, receivedAt: 1_760_000_002_130 });
  return { entry, facts, error: null, addressReason: 'on eno1', tookMs: 1_650 };
}
const golden = (name: string) => path.resolve(import.meta.dirname, `../../fixtures/golden/${name}.txt`);

describe('renderCheck', () => {
  it('is a table, then where workers meet, then what to mend', async () => {
    const gone: HostReport = {
      ...report('gpu-c', 'no-gpu'),
      facts: null,
      error: new DynamoError('HOST_UNREACHABLE', 'gpu-c: its host key has changed', {
        details: ['known: SHA256:a', 'offered: SHA256:b'],
        hint: 'ssh-keygen -R gpu-c.example',
      }),
    };
    const reports = [report('gpu-a', '8xh100-nvswitch'), report('gpu-b', '4xa100-pairs'), gone];
    const known = reports.flatMap(({ entry, facts }) => (facts ? [{ entry, facts }] : []));
    const text = renderCheck(reports, hostProblems(known));
    await expect(text).toMatchFileSnapshot(golden('hosts-check'));
  });

  it('says no more than the table of one good host', () => {
    const text = renderCheck([report('gpu-a', 'no-gpu')], []);
    expect(text.split('\n')).toHaveLength(3);
  });
});

describe('renderHost', () => {
  it.each(['8xh100-nvswitch', '4xa100-pairs', 'no-gpu'])('shows all of %s', async (fixture) => {
    const { facts, addressReason } = report('gpu-a', fixture);
    await expect(renderHost(facts!, addressReason)).toMatchFileSnapshot(golden(`hosts-show-${fixture}`));
  });
});
