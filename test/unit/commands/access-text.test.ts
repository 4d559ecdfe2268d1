import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { describeAccess, renderAccess } from '../../../src/commands/access-text.ts';
import type { DeploymentSnapshot } from '../../../src/deployment/snapshot.ts';
import type { LaunchPlan } from '../../../src/plan/launch-plan.ts';

const file = path.resolve(import.meta.dirname, '../../fixtures/snapshots/ready.json');
const ready = JSON.parse(readFileSync(file, 'utf8')) as DeploymentSnapshot;
const planWith = (host: string) =>
  ({
    processes: [{ name: 'frontend', argv: ['node', 'cli.js', 'frontend', '--http-host', host] }],
  }) as unknown as LaunchPlan;

describe('dynamo open', () => {
  it('says where, with which key, and what to try', () => {
    const access = describeAccess(ready, planWith('127.0.0.1'));
    expect(access.frontends).toEqual([
      expect.objectContaining({ name: 'frontend', localOnly: true, listensOn: '127.0.0.1' }),
    ]);
    const text = renderAccess(access);
    expect(text).toContain(`${ready.endpoint}/v1`);
    expect(text).toContain('key     none is asked for');
    expect(text).toContain('from its own machine only');
    expect(text).toContain(`curl -N ${ready.endpoint}/v1/chat/completions`);
    expect(text).toContain(`"model":"${ready.models[0]}"`);
  });

  it('warns where others can reach it', () => {
    const text = renderAccess(describeAccess(ready, planWith('0.0.0.0')));
    expect(text).toContain('put something that asks for a key before it');
  });

  it('refuses one that is down', () => {
    expect(() => describeAccess({ ...ready, state: 'stopped' }, planWith('::1'))).toThrow(
      expect.objectContaining({ code: 'NO_DEPLOYMENT', hint: expect.stringContaining('dynamo serve') }),
    );
  });
});
