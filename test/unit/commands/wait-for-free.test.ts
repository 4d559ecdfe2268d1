import { describe, expect, it } from 'vitest';
import { DynamoError } from '../../../src/base/errors.ts';
import { describeObstacles, type Obstacle } from '../../../src/commands/obstacles.ts';
import type { LaunchLook, PreparedLaunch } from '../../../src/commands/plan-recipe.ts';
import { FreeWait, lookPauseMs, lostPauseMs } from '../../../src/commands/wait-for-free.ts';

const held = (by: string): Obstacle => ({ host: 'gpu-2', gpus: [0, 1, 2, 5], why: `held by ${by}` });
const blocked = (...obstacles: Obstacle[]): LaunchLook => ({
  blocked: { error: new DynamoError('GPU_UNAVAILABLE', 'none free'), obstacles },
});
const free: LaunchLook = { prepared: {} as PreparedLaunch };

function wait(durationMs: number | null) {
  const said: string[] = [];
  const waiting = new FreeWait({
    durationMs,
    onWaiting: (obstacles) => said.push(describeObstacles(obstacles)),
    onFree: () => said.push('free'),
    random: () => 0,
  });
  return { waiting, said };
}

describe('a wait for what others have', () => {
  it('says nothing when all is free', async () => {
    const { waiting, said } = wait(null);
    await waiting.next(async () => free);
    expect(said).toEqual([]);
  });

  it('says what it waits for, again only when that changes, and when it is over', async () => {
    const { waiting, said } = wait(null);
    const away = { host: 'gpu-4', gpus: [], why: 'gpu-4: no answer' };
    const looks = [blocked(held('ada')), blocked(held('ada')), blocked(held('ada'), away), free];
    await waiting.next(async () => looks.shift()!);
    expect(said).toEqual([
      'GPUs 0-2, 5 of gpu-2 held by ada',
      'GPUs 0-2, 5 of gpu-2 held by ada; gpu-4: no answer',
      'free',
    ]);
  });

  it('counts while it pauses, and says when there is nothing to count', async () => {
    const told: (string | null)[] = [];
    const waiting = new FreeWait({
      durationMs: null,
      onWaiting: () => told.push('waiting'),
      onFree: () => told.push('free'),
      onTick: (waitedMs) => told.push(waitedMs === null ? null : 'tick'),
      random: () => 0.9,
    });
    const looks = [blocked(held('ada')), free];
    await waiting.next(async () => looks.shift()!);
    // A line is erased before another is printed.
    const changes = told.filter((what, index) => what !== told[index - 1]);
    expect(changes).toEqual([null, 'waiting', 'tick', null, 'free', null]);
  });

  it('ends with what was in the way when its time is over, after one look at least', async () => {
    const { waiting } = wait(0);
    await expect(waiting.next(async () => blocked(held('ada')))).rejects.toMatchObject({
      code: 'NOT_FREE',
      exitStatus: 4,
      details: ['GPUs 0-2, 5 of gpu-2 held by ada'],
    });
    await expect(wait(0).waiting.next(async () => free)).resolves.toBe((free as { prepared: object }).prepared);
  });

  it('does not stay in a look that hangs', async () => {
    const { waiting } = wait(50);
    const looks = [async () => blocked(held('ada')), () => new Promise<LaunchLook>(() => {})];
    await expect(waiting.next(() => looks.shift()!())).rejects.toMatchObject({ code: 'NOT_FREE' });
  });

  it('goes on after a start that came too late, and not after one that failed otherwise', async () => {
    const { waiting, said } = wait(null);
    await waiting.lost(new DynamoError('GPU_UNAVAILABLE', 'GPU 1 of gpu-2 is reserved by ada (decode-0)'));
    await waiting.next(async () => free);
    expect(said).toEqual(['GPU 1 of gpu-2 is reserved by ada (decode-0)', 'free']);
    const failure = new DynamoError('EXITED_EARLY', 'it ended');
    await expect(waiting.lost(failure)).rejects.toBe(failure);
  });

  it('ends on SIGINT, also while it looks, and leaves no listener', async () => {
    const before = process.listenerCount('SIGINT');
    const { waiting } = wait(null);
    const ended = waiting.next(() => {
      process.emit('SIGINT');
      return new Promise<LaunchLook>(() => {});
    });
    await expect(ended).rejects.toMatchObject({ code: 'START_STOPPED' });
    expect(process.listenerCount('SIGINT')).toBe(before);
  });
});

describe('its pauses', () => {
  it('are longer where looks take long, within limits, and never in step', () => {
    expect([lookPauseMs(50, 0.5), lookPauseMs(800, 0.5), lookPauseMs(20_000, 0.5)]).toEqual([1_000, 4_000, 10_000]);
    expect([lookPauseMs(50, 0), lookPauseMs(50, 0.999)].map(Math.round)).toEqual([750, 1_250]);
  });

  it('spread further with each start that was lost, up to a limit', () => {
    const most = [0, 1, 4, 5, 50].map((lost) => Math.round(lostPauseMs(lost, 1)));
    expect(most).toEqual([1_000, 1_500, 8_500, 16_500, 16_500]);
    expect(lostPauseMs(5, 0)).toBe(500);
  });

  it('let two who lose to each other pass, sooner or later', () => {
    // Both take a part when their starts overlap: then both lose. A start takes 400 ms here.
    let seed = 7;
    const random = () => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed / 2_147_483_647;
    };
    const rounds = Array.from({ length: 2_000 }, () => {
      for (let lost = 0; ; lost += 1)
        if (Math.abs(lostPauseMs(lost, random()) - lostPauseMs(lost, random())) > 400) return lost;
    });
    expect(Math.max(...rounds)).toBeLessThan(20);
    expect(rounds.reduce((sum, one) => sum + one, 0) / rounds.length).toBeLessThan(2.5);
  });
});
