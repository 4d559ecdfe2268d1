import { expect, it } from 'vitest';
import { DynamoError, type ErrorCode } from '../../../src/base/errors.ts';
import { isLostPort } from '../../../src/plan/lost-port.ts';
import { trivialProcess } from '../../helpers/trivial-plan.ts';

const specs = [
  trivialProcess('decode-1', { ports: { http: 9000, events: 9100 }, fixedPorts: ['http'] }),
  trivialProcess('decode-2', { ports: { http: 9000, events: 9100 } }),
];
const lost = (places: string[], code: ErrorCode = 'PORT_IN_USE') => {
  const ports = places.map((place) => {
    const [purpose = '', process = ''] = place.split(' of ');
    return { process, purpose, port: specs.find(({ name }) => name === process)?.ports[purpose] ?? 1 };
  });
  return isLostPort(new DynamoError(code, 'port 9000 is taken', { ports }), specs);
};

it('a port that dynamo chose may be chosen anew, also one with the number of one that is written down', () => {
  expect(lost(['events of decode-1'])).toBe(true);
  expect(lost(['events of decode-1', 'http of decode-2'])).toBe(true);
});

it('a port that is written down may not, nor one that nobody names', () => {
  expect(lost(['http of decode-1'])).toBe(false);
  expect(lost(['events of decode-1', 'http of decode-1'])).toBe(false);
  expect(lost(['http of other'])).toBe(false);
  expect(lost([])).toBe(false);
  expect(lost(['events of decode-1'], 'NOT_READY')).toBe(false);
  expect(isLostPort(new Error('port 9100'), specs)).toBe(false);
});

it('what was lost is known on the other side of a socket, too', () => {
  const ports = [{ process: 'decode-1', purpose: 'events', port: 9100 }];
  const error = new DynamoError('PORT_IN_USE', 'taken', { ports });
  expect(DynamoError.from(JSON.parse(JSON.stringify(error))).ports).toEqual(ports);
  expect(new DynamoError('PORT_IN_USE', 'taken').toJSON()).not.toHaveProperty('ports');
});
