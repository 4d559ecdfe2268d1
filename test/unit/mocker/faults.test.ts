import { describe, expect, it } from 'vitest';
import { FAULT_FORMS, findFault, parseFault } from '../../../src/mocker/faults.ts';

describe('faults', () => {
  it('reads every form it documents', () => {
    for (const form of FAULT_FORMS) {
      const plain = form
        .replace(/\[.*\]/, '')
        .replace('SECONDS', '1.5')
        .replace(/\bN\b/, '3');
      expect(parseFault(plain).kind).toBe(form.split(/[:[]/)[0]);
    }
  });

  it('reads values with their units', () => {
    expect(parseFault('exit-after:1.5:37')).toEqual({ kind: 'exit-after', ms: 1_500, code: 37 });
    expect(parseFault('exit-after:2')).toEqual({ kind: 'exit-after', ms: 2_000, code: 1 });
    expect(parseFault('fail-start:a: b')).toEqual({ kind: 'fail-start', message: 'a: b' });
    expect(parseFault('error-after-tokens:4')).toEqual({ kind: 'error-after-tokens', tokens: 4 });
  });

  it('refuses anything else with the list of forms', () => {
    for (const spec of [
      '',
      'x',
      'hang-after',
      'hang-after:',
      'exit-after:1:x',
      'crash-on-request:-1',
      'never-ready:1',
    ]) {
      expect(() => parseFault(spec)).toThrow(expect.objectContaining({ code: 'USAGE' }));
    }
  });

  it('finds a fault by its kind', () => {
    const faults = [parseFault('never-ready'), parseFault('slow-start:2')];
    expect(findFault(faults, 'slow-start')?.ms).toBe(2_000);
    expect(findFault(faults, 'hang-after')).toBeUndefined();
  });
});
