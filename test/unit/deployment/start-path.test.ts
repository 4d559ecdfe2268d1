import { describe, expect, it } from 'vitest';
import type { StepSnapshot } from '../../../src/deployment/snapshot.ts';
import { describeStartPath, lastHost } from '../../../src/deployment/start-path.ts';

const host = (name: string, ms: number, ...parts: [phase: string, ms: number][]) => ({
  ...{ host: name, ms },
  parts: parts.map(([phase, partMs]) => ({ phase, ms: partMs })),
});
const agents: StepSnapshot = {
  step: 'agents',
  ms: 2_100,
  hosts: [
    host('a', 500, ['login', 100], ['agent', 400]),
    host('b', 2_080, ['login', 90], ['kit', 1_500], ['agent', 490]),
  ],
};

describe('where the time of a start went', () => {
  it('names each step that matters with the host it ended with', () => {
    const steps: StepSnapshot[] = [
      { step: 'record', ms: 200, hosts: [] },
      agents,
      { step: 'attach', ms: 5, hosts: [host('a', 5), host('b', 4)] },
      { step: 'ready', ms: 400, hosts: [host('a', 400), host('b', 300)] },
      { step: 'commit', ms: 9, hosts: [] },
    ];
    expect(describeStartPath(steps)).toBe(
      '2.7 s: record 200 ms, agents 2.1 s (b last: login 90 ms, kit 1.5 s, agent 490 ms), ready 400 ms (a last), the rest 14 ms',
    );
  });

  it('tells stages apart', () => {
    const steps = [60, 40].map((ms): StepSnapshot => ({ step: 'ready', ms, hosts: [] }));
    expect(describeStartPath(steps)).toBe('100 ms: ready 60 ms, second ready 40 ms');
  });

  it('one host is nobody’s last', () => {
    const steps: StepSnapshot[] = [
      { step: 'agents', ms: 90, hosts: [host('local', 90, ['agent', 90])] },
      { step: 'ready', ms: 10, hosts: [host('local', 10)] },
    ];
    expect(describeStartPath(steps)).toBe('100 ms: agents 90 ms (agent 90 ms), ready 10 ms');
    expect(lastHost({ step: 'commit', ms: 1, hosts: [] })).toBeUndefined();
  });
});
