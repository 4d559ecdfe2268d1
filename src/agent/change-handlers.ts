import { DynamoError } from '../base/errors.ts';
import type { Discovery } from '../discovery/discovery.ts';
import { collectLocalFacts } from '../hosts/local-facts.ts';
import type { ChangeStep } from '../supervise/change-steps.ts';
import type { AgentMethods } from '../supervise/protocol.ts';
import type { GangChange } from './gang-change.ts';

export interface ChangeHandlersContext {
  change(): GangChange;
  generation(): number;
  discovery(): Pick<Discovery, 'readCommit'>;
  step<T>(step: ChangeStep, action: () => Promise<T> | T): Promise<T>;
  handle<K extends keyof AgentMethods & string>(
    method: K,
    handler: (params: AgentMethods[K]['params']) => Promise<AgentMethods[K]['result']> | AgentMethods[K]['result'],
  ): void;
}

/** What a controller may ask of an agent about changing what a committed gang runs. */
export function handleChanges({ change, generation, discovery, step, handle }: ChangeHandlersContext): void {
  handle('facts', () => collectLocalFacts());
  handle('extend', (params) =>
    step('change-reserve', async () => {
      // One that was taken back while this host was away: its controller has gone on since.
      if ((change().pending?.revision ?? params.revision) < params.revision)
        await decidePendingChange(change(), generation(), discovery());
      await change().reserve(params);
    }).then(() => null),
  );
  handle('extendPrepare', ({ revision }) => step('change-prepare', () => change().prepare(revision)).then(() => null));
  handle('extendLaunch', ({ revision, names }) =>
    step('change-launch', () => change().launch(revision, names)).then(() => null),
  );
  handle('extendReady', ({ revision, names }) =>
    step('change-ready', () => change().ready(revision, names)).then(() => null),
  );
  handle('extendProve', ({ pairs }) => step('change-prove', () => change().prove(pairs)));
  handle('extendPublish', ({ revision }) => step('change-publish', () => change().publish(revision)).then(() => null));
  handle('extendSettle', ({ revision }) =>
    step('change-settle', async () => {
      if (!(await isCommitted(discovery(), generation(), revision)))
        throw new DynamoError('START_LOST', `change ${revision} of generation ${generation()} has no commit record`);
      change().settle(revision);
    }).then(() => null),
  );
  handle('extendUndo', () =>
    change()
      .undo('the controller takes the change back')
      .then(() => null),
  );
  handle('retire', ({ names }) => step('change-retire', () => change().retire(names)).then(() => null));
}

/**
 * The controller has been silent for too long in the middle of a change: settled when its commit record is there, taken back
 * when it is not. Throws when that cannot be known.
 */
export async function decidePendingChange(
  change: GangChange,
  generation: number,
  discovery: Pick<Discovery, 'readCommit'>,
): Promise<void> {
  const { pending } = change;
  if (!pending) return;
  if (await isCommitted(discovery, generation, pending.revision)) change.settle(pending.revision);
  else await change.undo('no controller, and the change was never committed');
}

async function isCommitted(discovery: Pick<Discovery, 'readCommit'>, generation: number, revision: number) {
  return (await discovery.readCommit(generation, revision)) !== undefined;
}
