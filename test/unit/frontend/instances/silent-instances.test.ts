import { describe, expect, it } from 'vitest';
import type { FrontendContext } from '../../../../src/frontend/frontend-context.ts';
import { InstanceTable } from '../../../../src/frontend/instances/instance-table.ts';
import { watchSilence } from '../../../../src/frontend/instances/silent-instances.ts';
import { makeInstance } from '../../../helpers/instance.ts';

/** A frontend with workers by name, and the attempts to connect to them. */
function frontend(names: string[], decodeFallback = false) {
  const instances = new InstanceTable({ added() {}, dropped() {} });
  names.forEach((name, index) => {
    const role = name.startsWith('prefill') ? 'prefill' : 'decode';
    const record = makeInstance(name, 1, { role, model: 'demo', url: `http://10.0.0.${index + 1}:8000` });
    instances.apply({ type: 'upsert', instance: { ...record, state: 'ready', counter: 1 } });
  });
  const dropped: string[] = [];
  const context = {
    instances,
    options: { decodeFallback },
    log: { warn() {} },
    pool: { dropIdle: ({ hostname }: { hostname: string }) => dropped.push(hostname) },
  } as unknown as FrontendContext;
  const knocks: { hostname: string; answered: () => void }[] = [];
  const ended: string[] = [];
  const stop = new AbortController();
  const silence = watchSilence(
    () => context,
    stop.signal,
    ({ hostname }, answered) => {
      knocks.push({ hostname, answered });
      return { isOut: true, end: () => void ended.push(hostname) };
    },
  );
  const known = (name: string) => instances.get(name)!;
  return { silence, instances, known, knocks, ended, stop, dropped };
}

describe('a worker that fell silent', () => {
  it('is suspect since then, and no connection to it is kept', () => {
    const { silence, known, dropped } = frontend(['prefill-0', 'prefill-1']);
    const { origin } = known('prefill-0');
    expect(silence.isAvoided(origin)).toBe(false);
    silence.silent(origin, 4_711);
    expect(known('prefill-0').suspicion).toEqual({ why: 'silent', sinceMs: 4_711 });
    expect([silence.isAvoided(origin), known('prefill-1').suspicion, dropped]).toEqual([true, null, ['10.0.0.1']]);
  });

  it('is no longer asked about when the frontend ends, nor is anybody who has answered', () => {
    const { silence, known, knocks, ended, stop } = frontend(['prefill-0', 'prefill-1', 'prefill-2']);
    silence.doubted(known('prefill-0').origin);
    expect(knocks.map(({ hostname }) => hostname)).toEqual(['10.0.0.2', '10.0.0.3']);
    knocks[0]!.answered();
    stop.abort();
    expect(ended).toEqual(['10.0.0.3']);
    silence.doubted(known('prefill-1').origin);
    expect(knocks).toHaveLength(2);
  });

  it('leaves its requests to another only when the machine of that one answers: else this one may be what is cut off', () => {
    const { silence, known, knocks } = frontend(['prefill-0', 'prefill-1', 'decode-0']);
    const { origin } = known('prefill-0');
    silence.doubted(origin);
    expect(knocks.map(({ hostname }) => hostname)).toEqual(['10.0.0.2']);
    silence.silent(origin, 0);
    expect([silence.hasOther(origin), silence.hasOther(origin), knocks.length]).toEqual([false, false, 1]);
    knocks[0]!.answered();
    expect(silence.hasOther(origin)).toBe(true);
    expect(knocks).toHaveLength(1);
  });

  it.each([
    ['none of its role', ['prefill-0', 'decode-0'], false, 0],
    ['a decode worker that may prefill', ['prefill-0', 'decode-0'], true, 1],
    ['a decode worker cannot be replaced by a prefill worker', ['decode-0', 'prefill-0'], true, 0],
  ])('%s', (_, names, decodeFallback, asked) => {
    const { silence, known, knocks } = frontend(names, decodeFallback);
    silence.doubted(known(names[0]!).origin);
    expect(knocks).toHaveLength(asked);
  });

  it('is remembered when discovery gives it up: its requests still move; others that are suspect or drain take none', () => {
    const { silence, instances, known, knocks } = frontend(['decode-0', 'decode-1', 'decode-2', 'decode-3']);
    const { origin } = known('decode-0');
    silence.silent(origin, 0);
    instances.drop(known('decode-0'), 'lapsed');
    known('decode-1').suspicion = { why: 'failing', sinceMs: 0 };
    known('decode-2').state = 'draining';
    expect(silence.hasOther(origin)).toBe(false);
    expect(knocks.map(({ hostname }) => hostname)).toEqual(['10.0.0.4']);
    knocks[0]!.answered();
    expect(silence.hasOther(origin)).toBe(true);
  });
});
