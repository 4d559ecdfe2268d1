import { existsSync } from 'node:fs';
import { DynamoError } from '../base/errors.ts';
import type { CommandEntry } from './command.ts';
import type { Found } from './stop-found.ts';

/** A record that cannot be read does not keep a controller that runs from stopping its deployment. */
function isUp(dir: string, readPhase: () => string): boolean {
  try {
    return !['stopped', 'failed'].includes(readPhase());
  } catch (error) {
    if (error instanceof DynamoError && error.code === 'STATE_UNREADABLE' && existsSync(dir)) return true;
    throw error;
  }
}

interface StopFlags {
  force?: boolean;
  json?: boolean;
  hosts?: string;
  yes?: boolean;
}

async function find(deployment: string, dir: string, hosts: string, mayTakeOver: boolean): Promise<Found | undefined> {
  const { findToStop } = await import('./stop-found.ts'); // reads hosts files and loads SSH
  return findToStop(deployment, dir, { hosts, mayTakeOver, say: (text) => process.stderr.write(`${text}\n`) });
}

export const stopCommand: CommandEntry = {
  name: 'stop',
  summary: 'Stop a deployment: frontends drain, workers end, nothing is left',
  example: ['dynamo stop', 'dynamo stop quickstart --force', 'dynamo stop fleet --hosts hosts.yaml'],
  define(command) {
    command
      .argument('[name]', 'name of the deployment (default: the only one that runs)')
      .option('-f, --force', 'do not wait for requests in flight')
      .option('--hosts <file>', 'where this machine does not know it (any more): look for it on the hosts of this file')
      .option('--yes', 'with --hosts: also when another machine or user started it')
      .option('--json', 'print the result as JSON')
      .action(async (name: string | undefined, flags: StopFlags) => {
        const [{ stopDeployment }, { readDeployment, theOnlyDeployment }, { deploymentDir }] = await Promise.all([
          import('../deployment/start-deployment.ts'),
          import('../deployment/local-view.ts'),
          import('../deployment/state-dir.ts'),
        ]);
        const deployment = name ?? theOnlyDeployment();
        const dir = deploymentDir(deployment);
        const found =
          flags.hosts === undefined ? undefined : await find(deployment, dir, flags.hosts, flags.yes ?? false);
        const isThere = found === undefined || found.hosts.length > 0;
        const wasUp = isThere ? isUp(dir, () => readDeployment(deployment).phase) : found.endedHere > 0;
        let isClean = true;
        if (isThere)
          await stopDeployment(deployment, dir, {
            force: flags.force ?? false,
            onLeft: (what) => {
              isClean = false;
              process.stderr.write(`${what}\n`);
            },
            onSuspended: (pid) =>
              process.stderr.write(`its controller (pid ${pid}) does not answer: ending it first\n`),
          });
        if (found) (await import('./stop-found.ts')).refuseAway(deployment, found);
        if (flags.json)
          process.stdout.write(
            `${JSON.stringify({ name: deployment, stopped: true, wasUp, ...(found && { foundOn: found.hosts }) })}\n`,
          );
        else
          process.stdout.write(
            wasUp
              ? `${deployment} is stopped; ${isClean ? 'nothing' : 'no process'} is left\n`
              : `${deployment} was not running\n`,
          );
      });
  },
};
