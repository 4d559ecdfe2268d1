import { DynamoError } from '../base/errors.ts';
import { WORKER_ROLES, type WorkerRole } from '../base/role.ts';
import { nameGroup, type WorkerGroup } from './running-groups.ts';

/** How many workers a group shall have. */
export interface ScaleTarget {
  /** Null: the only model with such a group. */
  model: string | null;
  role: WorkerRole;
  /** Which of several groups of the role, from 0. */
  ordinal: number | null;
  /** A number of workers, or so many more or fewer. */
  replicas: number;
  relative: boolean;
}

/** One group that changes. */
export interface ScaleStep {
  group: string;
  from: number;
  to: number;
}

const MOST_REPLICAS = 1_024;

/** Reads `prefill=3`, `decode=+1`, `MODEL/decode=2`, `decode[1]=2`. Throws `USAGE`. */
export function parseScaleTarget(text: string): ScaleTarget {
  const match = /^(?:(.+)\/)?([a-z]+)(?:\[(\d+)\])?=([+-]?)(\d{1,6})$/.exec(text);
  const role = WORKER_ROLES.find((known) => known === match?.[2]);
  if (!match || !role) {
    throw new DynamoError('USAGE', `"${text}" says of no group of workers how many it shall have`, {
      hint: `Write ${WORKER_ROLES.map((known) => `${known}=N`).join(', ')}, +N or -N for more or fewer, MODEL/ROLE=N where there are several models.`,
    });
  }
  const [, model = null, , ordinal, sign, count] = match;
  return {
    model,
    role,
    ordinal: ordinal === undefined ? null : Number(ordinal),
    replicas: sign === '-' ? -Number(count) : Number(count),
    relative: sign !== '',
  };
}

/** What the targets mean for the groups that are there. Throws `USAGE` for one that names none or several, or no sensible number. */
export function applyTargets(
  groups: readonly WorkerGroup[],
  targets: readonly ScaleTarget[],
): { wanted: Map<WorkerGroup, number>; steps: ScaleStep[] } {
  const wanted = new Map<WorkerGroup, number>();
  for (const target of targets) {
    const group = findGroup(groups, target);
    const name = nameGroup(group, groups);
    const replicas = (target.relative ? group.workers.length : 0) + target.replicas;
    if (replicas < 1) {
      throw new DynamoError('USAGE', `${name} cannot have ${replicas} workers`, {
        hint: 'At least one stays. `dynamo drain` takes a worker out of service; `dynamo stop` ends the deployment.',
      });
    }
    if (replicas > MOST_REPLICAS)
      throw new DynamoError('USAGE', `${name} cannot have more than ${MOST_REPLICAS} workers`);
    if (wanted.has(group)) throw new DynamoError('USAGE', `${name} is named twice`);
    wanted.set(group, replicas);
  }
  const steps = [...wanted].flatMap(([group, to]) => {
    const from = group.workers.length;
    return from === to ? [] : [{ group: nameGroup(group, groups), from, to }];
  });
  return { wanted, steps };
}

function findGroup(groups: readonly WorkerGroup[], { model, role, ordinal }: ScaleTarget): WorkerGroup {
  const found = groups.filter(
    (group) =>
      group.role === role &&
      (model === null || group.model === model) &&
      (ordinal === null || group.ordinal === ordinal),
  );
  if (found.length === 1) return found[0]!;
  const known = groups.map((group) => nameGroup(group, groups));
  const written = `${model === null ? '' : `${model}/`}${role}${ordinal === null ? '' : `[${ordinal}]`}`;
  throw new DynamoError(
    'USAGE',
    found.length === 0 ? `there is no group ${written}` : `${written} means several groups`,
    {
      hint: `There ${known.length === 1 ? 'is' : 'are'} ${known.join(', ')}.`,
    },
  );
}
