import { afterEach, describe, expect, it } from 'vitest';
import type { DeploymentLogs } from '../../../../src/deployment/logs/deployment-logs.ts';
import type { LogFiles } from '../../../../src/deployment/logs/log-files.ts';
import { LogFollow } from '../../../../src/tui/data/log-follow.ts';
import { waitFor } from '../../../helpers/until.ts';

/** A host with one log, whose link can be cut. */
class FarHost implements LogFiles {
  readonly name: string;
  text = '';
  isUp = true;
  opened = 0;

  constructor(name: string) {
    this.name = name;
  }

  async list(): Promise<string[]> {
    this.#mustBeUp();
    return [`${this.name}.log`];
  }
  async size(file: string): Promise<number> {
    this.#mustBeUp();
    return file === `${this.name}.log` ? this.text.length : 0;
  }
  async read(file: string, offset: number, length: number): Promise<Buffer> {
    this.#mustBeUp();
    return Buffer.from(file === `${this.name}.log` ? this.text.slice(offset, offset + length) : '');
  }
  async marks(): Promise<[]> {
    return [];
  }
  #mustBeUp(): void {
    if (!this.isUp) throw new Error('the link is lost');
  }
}

const ended: AbortController[] = [];
afterEach(() => {
  for (const controller of ended.splice(0)) controller.abort();
});

function follow(far: FarHost) {
  const seen: string[] = [];
  const problems: string[] = [];
  const own = new AbortController();
  ended.push(own);
  const here = new FarHost('controller');
  here.text = 'here\n';
  const open = async (): Promise<DeploymentLogs> => {
    far.opened += 1;
    const logs = new Map<string, LogFiles>([['controller', here]]);
    if (far.isUp) logs.set(far.name, far);
    const unreachable = far.isUp ? [] : [{ host: 'node-b', reason: new Error('node-b does not answer') }];
    return { here, logs, unreachable, [Symbol.asyncDispose]: async () => {} };
  };
  const log = new LogFollow({
    ...{ deployment: 'demo', tail: 2, signal: own.signal, open, retryMs: 10 },
    onLines: (_name, lines) => seen.push(...lines),
    onProblem: (error) => problems.push((error as Error).message),
  });
  return { log, seen, problems };
}

describe('following the log of another host', () => {
  it('goes on after a lost link where it was, says so once, and no line comes twice', async () => {
    const far = new FarHost('decode-0');
    far.text = 'one\ntwo\nthree\n';
    const { log, seen, problems } = follow(far);
    log.follow('decode-0');
    await waitFor('the newest lines', () => seen.length === 2);
    far.isUp = false;
    await waitFor('the loss to be said', () => problems.length === 1);
    await waitFor('several tries', () => far.opened > 3);
    far.text += 'four\n';
    far.isUp = true;
    await waitFor('what was written meanwhile', () => seen.length === 3);
    expect(seen).toEqual(['two', 'three', 'four']);
    expect(problems).toEqual(['the link is lost']);
  });

  it('waits for a host that does not answer, while logs of this machine are read all the same', async () => {
    const far = new FarHost('decode-0');
    far.isUp = false;
    const { log, seen, problems } = follow(far);
    log.follow('controller');
    await waitFor('the log that is here', () => seen.includes('here'));
    expect(problems).toEqual([]);
    log.follow('decode-0');
    await waitFor('the reason', () => problems.includes('node-b does not answer'));
    far.text = 'there\n';
    far.isUp = true;
    await waitFor('the log that is there', () => seen.includes('there'));
  });
});
