import { describe, expect, it } from 'vitest';
import type { KvPathReport } from '../../src/doctor/check-kv-path.ts';
import type { TokenReport } from '../../src/doctor/check-tokens.ts';
import { Sandbox } from '../helpers/deployment-sandbox.ts';

describe('dynamo doctor', () => {
  it('looks at the pairs and tokens of a deployment that runs', async () => {
    await using box = new Sandbox();
    const settings = ['frontend.port=auto', 'workers.decode.args.enable-scale-out=true'].flatMap((one) => [
      '--set',
      one,
    ]);
    expect((await box.run('serve', 'recipes/quickstart.yaml', ...settings, '--detach')).code).toBe(0);

    const kvPath = await box.run('doctor', 'kv-path', '--decode', 'decode-1', '--repeat', '2', '--json');
    expect(kvPath.code).toBe(0);
    const { pairs } = JSON.parse(kvPath.stdout) as { pairs: KvPathReport[] };
    expect(pairs.map(({ prefill, decode, ok }) => [prefill, decode, ok])).toEqual([
      ['prefill-0', 'decode-1', true],
      ['prefill-1', 'decode-1', true],
    ]);
    for (const { best } of pairs) expect(best?.bytesPerSecond).toBeGreaterThan(0);
    expect((await box.run('doctor', 'kv-path', '--decode', 'decode-9')).stderr).toContain('[USAGE]');

    const tokens = await box.run('doctor', 'tokens', 'quickstart', '--json');
    expect(tokens.code).toBe(0);
    const { cases } = JSON.parse(tokens.stdout) as TokenReport;
    expect(cases.length).toBeGreaterThan(5);
    for (const each of cases) {
      expect(each.agree).toBe(true);
      expect(each.sides.map(({ who }) => who)).toEqual([
        ...['frontend', 'prefill-0', 'prefill-1'],
        ...['decode-0', 'decode-0 (render)', 'decode-1', 'decode-1 (render)'],
      ]);
    }
    expect((await box.run('stop', 'quickstart')).code).toBe(0);
  });

  it('needs a deployment that runs, and everything for a pair by URL', async () => {
    await using box = new Sandbox();
    expect((await box.run('doctor', 'kv-path')).code).toBe(7);
    const { code, stderr } = await box.run('doctor', 'kv-path', '--prefill', 'http://127.0.0.1:1');
    expect(code).toBe(2);
    expect(stderr).toContain('--engine');
    const machine = await box.run('doctor', '--json');
    expect(machine.code).toBe(0);
    expect(JSON.parse(machine.stdout)).toHaveProperty('findings');
  });
});
