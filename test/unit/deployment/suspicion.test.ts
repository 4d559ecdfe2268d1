import { describe, expect, it } from 'vitest';
import { renderStatus } from '../../../src/commands/status-text.ts';
import { ageStatus } from '../../../src/deployment/compose-snapshot.ts';
import { describeSuspicion, type SuspicionSnapshot } from '../../../src/deployment/suspicion.ts';
import type { AgentStatus } from '../../../src/supervise/protocol.ts';
import { alertsOf } from '../../../src/tui/alerts.ts';
import { makeSnapshot } from '../../helpers/snapshots.ts';

const silent: SuspicionSnapshot = { frontend: 'frontend', worker: 'prefill-0', why: 'silent', forMs: 1_200 };
const TOLD = 'prefill-0 is suspect for frontend: silent for 1.2 s; requests go elsewhere until it answers';

describe('a worker that a frontend suspects', () => {
  it('is told with who, whom, why and since when', () => {
    expect(describeSuspicion(silent)).toBe(TOLD);
  });

  it('stands in status and among the alerts of the screen, not once all is stopped', () => {
    const snapshot = makeSnapshot({}, { suspicions: [silent] });
    expect(renderStatus(snapshot)).toContain(`\n${TOLD}\n`);
    expect(alertsOf(snapshot)).toContainEqual({ text: `${TOLD}.`, tone: 'warn' });
    expect(alertsOf({ ...snapshot, state: 'stopped' }).map(({ text }) => text)).not.toContain(`${TOLD}.`);
  });

  it('grows older with the status that told of it; an agent of an earlier release tells of none', () => {
    const status = { processes: [], pairs: [], suspicions: [silent] } as unknown as AgentStatus;
    expect(ageStatus(status, 800.4).suspicions).toEqual([{ ...silent, forMs: 2_000 }]);
    const { suspicions: _, ...older } = status;
    expect(ageStatus(older, 800)).not.toHaveProperty('suspicions');
    expect(makeSnapshot().suspicions).toEqual([]);
  });
});
