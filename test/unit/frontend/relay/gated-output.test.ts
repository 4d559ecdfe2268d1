import { describe, expect, it } from 'vitest';
import { type AnswerGate, GatedOutput } from '../../../../src/frontend/relay/gated-output.ts';
import { UpstreamFailure } from '../../../../src/frontend/upstream/upstream-failure.ts';

const settled = () => new Promise((resolve) => setImmediate(resolve));
const refusal = new UpstreamFailure('failed', 'not so');

function setUp(gate: AnswerGate) {
  const events: string[] = [];
  const client = { isGone: false };
  const output = new GatedOutput(
    { open: () => events.push('open'), write: (bytes) => events.push(bytes.toString()) },
    gate,
    {
      press: (full) => events.push(full ? 'pause' : 'resume'),
      refused: (failure) => events.push(`refused ${failure === refusal}`),
      isGone: () => client.isGone,
    },
  );
  const write = (text: string) => output.write(Buffer.from(text));
  return { events, client, output, write };
}
/** A gate whose checks end when told. */
function heldGate() {
  const first = Promise.withResolvers<void>();
  const end = Promise.withResolvers<void>();
  return { first, end, gate: { beforeFirst: () => first.promise, holdsEnd: true, beforeEnd: () => end.promise } };
}

describe('GatedOutput', () => {
  it('adds nothing where nothing is to be checked', () => {
    const { events, output, write } = setUp({
      beforeFirst: () => undefined,
      holdsEnd: false,
      beforeEnd: () => Promise.reject(refusal),
    });
    output.open();
    write('a');
    output.ending();
    write('end');
    expect(output.finish()).toBeUndefined();
    expect(events).toEqual(['open', 'a', 'end']);
  });

  it('keeps everything until the first check, and the end until the second', async () => {
    const { first, end, gate } = heldGate();
    const { events, output, write } = setUp(gate);
    output.open();
    write('a');
    write('b');
    await settled();
    expect(events).toEqual(['pause']);
    first.resolve();
    await settled();
    expect(events).toEqual(['pause', 'open', 'resume', 'a', 'b']);
    write('c');
    output.ending();
    write('end');
    const finished = output.finish();
    await settled();
    expect(events.slice(5)).toEqual(['c']);
    end.resolve();
    await finished;
    expect(events.slice(5)).toEqual(['c', 'end']);
  });

  it('keeps an answer that was complete before the first check was', async () => {
    const { first, end, gate } = heldGate();
    const { events, output, write } = setUp(gate);
    output.open();
    write('a');
    output.ending();
    write('end');
    const finished = output.finish();
    first.resolve();
    await settled();
    expect(events).not.toContain('a');
    end.resolve();
    await finished;
    expect(events).toEqual(['pause', 'open', 'resume', 'a', 'end']);
  });

  it('lets nothing out when the first check refuses', async () => {
    const { first, gate } = heldGate();
    const { events, output, write } = setUp(gate);
    output.open();
    write('a');
    first.reject(refusal);
    await settled();
    write('b');
    expect(events).toEqual(['pause', 'refused true']);
    await expect(output.finish()).rejects.toBe(refusal);
  });

  it('lets the end not out when the second check refuses', async () => {
    const { first, end, gate } = heldGate();
    const { events, output, write } = setUp(gate);
    output.open();
    first.resolve();
    await settled();
    write('a');
    output.ending();
    write('end');
    end.reject(refusal);
    await expect(output.finish()).rejects.toBe(refusal);
    expect(events).toEqual(['pause', 'open', 'resume', 'a']);
  });

  it('gives up on a client that left meanwhile', async () => {
    const { first, gate } = heldGate();
    const { events, client, output } = setUp(gate);
    output.open();
    client.isGone = true;
    first.resolve();
    await expect(output.finish()).rejects.toMatchObject({ reason: 'aborted' });
    expect(events).toEqual(['pause', 'refused false']);
  });
});
