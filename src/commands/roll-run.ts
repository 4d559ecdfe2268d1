import { DynamoError } from '../base/errors.ts';
import { until } from '../base/until.ts';
import { connectController, spawnController } from '../deployment/controller-client.ts';
import { type DeploymentRecord, readRecord } from '../deployment/record.ts';
import { deploymentPaths } from '../deployment/state-dir.ts';
import { onTheWay, previewRolling as previewSteps, rollingObstacles, staleProcesses } from '../plan/plan-rolling.ts';
import type { PreparedLaunch } from './plan-recipe.ts';
import type { ServeFlags } from './serve-flags.ts';
import { startRequest } from './start-request.ts';

/** Events of what a rolling replacement does, for somebody who waits for it. */
const TOLD = new Set(['rolling', 'change-undo', 'not-ready', 'exited']);

/**
 * `serve --rolling --dry-run` while another recipe runs: prints the steps and starts nothing. Resolves with whether it did: with
 * nothing to replace the plan itself is what would happen.
 */
export async function previewRolling(prepared: PreparedLaunch, flags: ServeFlags): Promise<boolean> {
  const record = flags.dryRun ? runningWithOther(prepared) : undefined;
  if (!record) return false;
  const { planInput: before, plan, rolling } = record;
  const { planInput: target } = prepared;
  const obstacles = before
    ? rollingObstacles(before.recipe, target.recipe)
    : ['it was started by a dynamo that could not'];
  const stale = before && obstacles.length === 0 ? staleProcesses(before, target, plan, rolling?.stale) : [];
  const steps =
    before && obstacles.length === 0 ? previewSteps(onTheWay(before, target, plan), plan, { target, stale }) : [];
  const gaps = steps.filter((step) => step.loses);
  if (flags.json) {
    const shown = steps.map(({ kind, what, loses, added, removed }) => ({
      ...{ kind, what, leavesGap: loses },
      ...{ added: added.map(({ name }) => name), removed },
    }));
    process.stdout.write(
      `${JSON.stringify({ schemaVersion: 1, deployment: plan.deployment, obstacles, steps: shown }, null, 2)}\n`,
    );
  } else {
    const lines = [
      ...obstacles.map((what) => `cannot be done one process at a time: ${what} changed`),
      ...steps.map(({ what }, index) => `${index + 1}. ${what}`),
      ...(obstacles.length + steps.length === 0 ? ['no process has to be replaced'] : []),
      ...(gaps.length > 0 ? ['refused without --replace: it leaves a gap'] : []),
    ];
    process.stdout.write(`${lines.join('\n')}\n`);
  }
  return true;
}

/**
 * `serve --rolling`: brings what runs under the name to this recipe, and returns when that is done; at once when nothing runs, or this
 * very recipe. Throws `RECIPE_CHANGED` when there is no way without a gap.
 */
export async function rollRunning(prepared: PreparedLaunch, flags: ServeFlags): Promise<void> {
  if (!runningWithOther(prepared)) return;
  const { dir, plan } = prepared;
  const tell = (text: string) => void process.stderr.write(`${text}\n`);
  const connect = () =>
    connectController(dir, {
      prepare: (peer) =>
        peer.on('event', ({ type, process, message }) => {
          if (TOLD.has(type) && !flags.json) tell(process ? `${process}: ${message}` : message);
        }),
    });
  let client = await connect();
  if (!client) {
    await spawnController(plan.deployment, dir, undefined);
    client = await until(connect, { deadlineMs: 10_000, intervalMs: 20 });
  }
  if (!client) throw new DynamoError('CONNECT_FAILED', `the controller of ${plan.deployment} does not answer`);
  try {
    const request = startRequest(prepared, { ephemeral: false, nodeArchive: flags.nodeArchive });
    await client.peer.request('roll', { request, replace: flags.replace ?? false });
  } finally {
    client.peer.close();
  }
}

/**
 * The record of a committed deployment of that name whose recipe is another, that is still on its way to this one, or whose hosts file has
 * other hosts.
 */
function runningWithOther({ dir, recipeHash, facts, hosts }: PreparedLaunch): DeploymentRecord | undefined {
  const record = readRecord(deploymentPaths(dir).record);
  if (record?.phase !== 'committed') return undefined;
  const named = facts.map(({ name }) => name);
  const known = record.planInput?.facts.map(({ name }) => name) ?? named;
  const hasLeft = record.plan.processes.some(({ host, role }) => role !== 'store' && !named.includes(host));
  const hostsDiffer = hosts !== undefined && (hasLeft || named.some((host) => !known.includes(host)));
  return record.recipeHash === recipeHash && !record.rolling && !hostsDiffer ? undefined : record;
}
