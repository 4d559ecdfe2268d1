import { expect, it } from 'vitest';
import { DynamoError } from '../../../src/base/errors.ts';
import { isLostPort } from '../../../src/plan/lost-port.ts';
import { trivialProcess } from '../../helpers/trivial-plan.ts';

const specs = [trivialProcess('decode-1', { ports: { http: 9000, events: 9100 }, fixedPorts: ['http'] })];
const lost = (message: string, details: string[] = []) =>
  isLostPort(new DynamoError('PORT_IN_USE', message, { details }), specs);

it('a port that dynamo chose may be chosen anew, also beside one that is written down', () => {
  expect(lost('port 9100 (events of decode-1) is held by pid 9000 (python)')).toBe(true);
  expect(lost('decode-1 ended while starting: exit status 1: port 9100 was taken in the meantime', ['9000'])).toBe(
    true,
  );
});

it('a port that is written down may not', () => {
  expect(lost('port 9000 (http of decode-1) is held by pid 1')).toBe(false);
  expect(
    lost('port 9100 (events of decode-1) is held by pid 1', ['port 9000 (http of decode-1) is held by pid 1']),
  ).toBe(false);
  expect(lost('decode-1 ended while starting: exit status 1: port 9000, 9100 was taken in the meantime')).toBe(false);
  expect(isLostPort(new DynamoError('NOT_READY', 'port 9100'), specs)).toBe(false);
});
