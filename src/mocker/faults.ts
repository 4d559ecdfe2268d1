import { DynamoError } from '../base/errors.ts';

/** Something a simulated worker does wrong on request. Times count from when it is ready, but for those of the start. */
export type Fault =
  /** Ends with exit status 1 while starting. */
  | { kind: 'fail-start'; message: string }
  | { kind: 'exit-after'; ms: number; code: number }
  /** Its event loop stops: nothing is answered, signals are not handled. */
  | { kind: 'hang-after'; ms: number }
  | { kind: 'slow-start'; ms: number }
  /** Starts for ever. */
  | { kind: 'never-ready' }
  | { kind: 'ignore-sigterm' }
  /** Every KV transfer fails. */
  | { kind: 'refuse-transfer' }
  /** Requests succeed, but no KV cache moves and no counter either. */
  | { kind: 'lie-about-transfer' }
  /** Each request fails after so many tokens. */
  | { kind: 'error-after-tokens'; tokens: number }
  /** Dies without a word when the so-manieth completion request arrives. */
  | { kind: 'crash-on-request'; request: number };

export const FAULT_FORMS = [
  'fail-start[:MESSAGE]',
  'exit-after:SECONDS[:CODE]',
  'hang-after:SECONDS',
  'slow-start:SECONDS',
  'never-ready',
  'ignore-sigterm',
  'refuse-transfer',
  'lie-about-transfer',
  'error-after-tokens:N',
  'crash-on-request:N',
] as const;

/** Reads one `--fault` value. Throws `USAGE` for one that is none. */
export function parseFault(spec: string): Fault {
  const colon = spec.indexOf(':');
  const kind = colon < 0 ? spec : spec.slice(0, colon);
  const rest = colon < 0 ? '' : spec.slice(colon + 1);
  switch (kind) {
    case 'fail-start':
      return { kind, message: rest === '' ? 'Engine core initialization failed.' : rest };
    case 'exit-after': {
      const [seconds = '', code = '1'] = rest.split(':');
      return { kind, ms: number(seconds, spec) * 1_000, code: number(code, spec) };
    }
    case 'hang-after':
    case 'slow-start':
      return { kind, ms: number(rest, spec) * 1_000 };
    case 'error-after-tokens':
      return { kind, tokens: number(rest, spec) };
    case 'crash-on-request':
      return { kind, request: number(rest, spec) };
    case 'never-ready':
    case 'ignore-sigterm':
    case 'refuse-transfer':
    case 'lie-about-transfer':
      if (rest === '') return { kind };
  }
  throw unknownFault(spec);
}

export function findFault<K extends Fault['kind']>(
  faults: readonly Fault[],
  kind: K,
): Extract<Fault, { kind: K }> | undefined {
  return faults.find((fault): fault is Extract<Fault, { kind: K }> => fault.kind === kind);
}

function number(text: string, spec: string): number {
  if (!/^\d+(\.\d+)?$/.test(text)) throw unknownFault(spec);
  return Number(text);
}

function unknownFault(spec: string): DynamoError {
  return new DynamoError('USAGE', `--fault ${spec} is none of the known faults`, {
    hint: `Use one of: ${FAULT_FORMS.join(', ')}.`,
  });
}
