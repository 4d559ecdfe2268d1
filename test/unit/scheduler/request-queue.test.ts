import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RequestQueue } from '../../../src/scheduler/request-queue.ts';

describe('request queue', () => {
  it('behaves like an array', () => {
    const operation = fc.record({ kind: fc.constantFrom('push', 'push', 'front', 'shift', 'remove'), at: fc.nat() });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 300 }), (operations) => {
        const queue = new RequestQueue<number>();
        const model: number[] = [];
        for (const [index, { kind, at }] of operations.entries()) {
          if (kind === 'push') {
            queue.push(index);
            model.push(index);
          } else if (kind === 'front') {
            queue.pushFront(index);
            model.unshift(index);
          } else if (kind === 'shift') expect(queue.shift()).toBe(model.shift());
          else if (model.length > 0) {
            const [item] = model.splice(at % model.length, 1);
            expect(queue.remove(item!)).toBe(true);
            expect(queue.remove(item!)).toBe(false);
          }
          expect(queue.length).toBe(model.length);
          expect(queue.peek()).toBe(model[0]);
        }
      }),
    );
  });
});
