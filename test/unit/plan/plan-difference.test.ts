import { describe, expect, it } from 'vitest';
import { refuseHeldPorts } from '../../../src/plan/held-ports.ts';
import { planDifference } from '../../../src/plan/plan-difference.ts';
import { missingSecrets } from '../../../src/plan/secrets.ts';
import { planText, recordedFacts } from '../../helpers/recipes.ts';

const TEXT = `name: demo
model: m
engine: mocker
frontend: { port: 8000 }
workers:
  prefill: {}
  decode: { env: { A: one } }
`;

describe('planDifference', () => {
  it('finds nothing between two plans of one recipe, though other ports are free', async () => {
    const busy = recordedFacts('no-gpu', { listeningPorts: [8100, 8102, 5600] });
    expect(planDifference(await planText(TEXT), await planText(TEXT, busy))).toEqual([]);
    // Two ports in one word of JSON, and a number that is a port only by chance.
    const events = TEXT.replace('engine: mocker', 'engine: mocker\nkvEvents: true').replace('A: one', 'A: "8101"');
    const busier = recordedFacts('no-gpu', { listeningPorts: [7100, 7600, 8101] });
    expect(planDifference(await planText(events), await planText(events, busier))).toEqual([]);
  });

  it('says what changed, a line each', async () => {
    const changed = TEXT.replace('port: 8000', 'port: 9000, routerMode: random')
      .replace('prefill: {}', 'prefill: { replicas: 2, args: { seed: 7 } }')
      .replace('A: one', 'A: two, HF_TOKEN: abc');
    expect(planDifference(await planText(TEXT), await planText(changed))).toEqual([
      'prefill-0 --seed: not set → 7',
      'prefill-1: new (prefill, m)',
      'decode-0 env A: one → two',
      'decode-0 env HF_TOKEN: not set → <hidden>',
      'frontend http port: 8000 → 9000',
      'frontend --router-mode: kv → random',
    ]);
    expect(planDifference(await planText(changed), await planText(TEXT))).toContain('prefill-1: removed');
  });

  it('shows bare flags and restart rules', async () => {
    const changed = TEXT.replace('port: 8000', 'port: 8000, decodeFallback: true, restart: never');
    const [flag, ...rest] = planDifference(await planText(TEXT), await planText(changed)).toSorted();
    expect(flag).toBe('frontend --decode-fallback: not set → set');
    expect(rest).toEqual([expect.stringMatching(/^frontend restart: .*"always".* → .*"never"/)]);
  });
});

const listening = (...listeningPorts: number[]) => [recordedFacts('no-gpu', { listeningPorts })];

describe('refuseHeldPorts', () => {
  it('names the holder of a written-down port and leaves chosen ones alone', async () => {
    const plan = await planText(TEXT);
    expect(() => refuseHeldPorts(plan, listening(8100, 22), () => undefined)).not.toThrow();
    expect(() => refuseHeldPorts(plan, listening(8000), () => ({ pid: 7, command: 'nginx -g daemon' }))).toThrow(
      expect.objectContaining({
        code: 'PORT_IN_USE',
        message: 'port 8000 for frontend is in use',
        details: ['port 8000 for frontend: held by process 7, nginx -g daemon'],
      }),
    );
    expect(() => refuseHeldPorts(plan, listening(8000), () => undefined)).toThrow(
      expect.objectContaining({ details: ['port 8000 for frontend: held by a process of another user'] }),
    );
  });
});

describe('missingSecrets', () => {
  it('names each variable that is not set once', async () => {
    const plan = await planText(TEXT.replace('A: one', 'A: { fromEnv: X }, B: { fromEnv: X }, C: { fromEnv: Y }'));
    expect(missingSecrets(plan, { Y: '' })).toEqual(['X']);
  });
});
