import { createHash } from 'node:crypto';
import type { Recipe } from '../recipe/recipe.ts';
import { canonicalJson } from './plan-hash.ts';

/** What a recipe says of the workers of one group, but for their number: workers of equal hash need not be replaced. */
export function groupSettings({ models, logs }: Recipe, modelIndex: number, groupIndex: number): string {
  const { groups, path: _, slo: __, ...model } = models[modelIndex]!;
  const { path: ___, replicas: ____, ...group } = groups[groupIndex]!;
  return hash({ model, group, logs });
}

/** The same of the frontends, with what they must know of the models. */
export function frontendSettings({ frontend, models, logs }: Recipe): string {
  const { replicas: _, ...rest } = frontend;
  return hash({ frontend: rest, leases: models.map(({ kvTransfer }) => kvTransfer.lease ?? null), logs });
}

const hash = (value: unknown): string => createHash('sha256').update(canonicalJson(value)).digest('hex');
