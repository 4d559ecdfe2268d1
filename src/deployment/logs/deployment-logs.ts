import path from 'node:path';
import type { HostEntry } from '../../hosts/host-entry.ts';
import { openTransport } from '../../hosts/open-transport.ts';
import { placesOn } from '../places-on.ts';
import type { DeploymentRecord } from '../record.ts';
import { deploymentDir, deploymentPaths } from '../state-dir.ts';
import { LocalLogFiles, type LogFiles } from './log-files.ts';
import { RemoteLogFiles } from './remote-log-files.ts';

/** The log folders of a deployment, one a host. */
export interface DeploymentLogs extends AsyncDisposable {
  /** The folder of this machine: where a log that is not listed yet will be. */
  here: LogFiles;
  /** Logs by name (`decode-0`, `agent-HOST`, `controller`), and where each is. */
  logs: ReadonlyMap<string, LogFiles>;
  /** Hosts that could not be asked, with the reason. */
  unreachable: { host: string; reason: unknown }[];
}

/** Opens the logs of a deployment wherever its processes run; all hosts at once. A host that cannot be reached is named, not thrown. */
export async function openDeploymentLogs(record: DeploymentRecord, signal?: AbortSignal): Promise<DeploymentLogs> {
  const here = new LocalLogFiles(path.dirname(deploymentPaths(deploymentDir(record.name)).controllerLog));
  const logs = new Map(logNames(await here.list()).map((name) => [name, here as LogFiles]));
  const disposables = new AsyncDisposableStack();
  const unreachable: DeploymentLogs['unreachable'] = [];
  await Promise.all(
    (record.hosts ?? [])
      .filter((entry) => !entry.local)
      .map(async (entry) => {
        try {
          const files = await openRemote(entry, record.name, disposables, signal);
          for (const name of logNames(await files.list())) logs.set(name, files);
        } catch (reason) {
          unreachable.push({ host: entry.name, reason });
        }
      }),
  );
  return { here, logs, unreachable, [Symbol.asyncDispose]: () => disposables.disposeAsync() };
}

async function openRemote(
  entry: HostEntry,
  deployment: string,
  disposables: AsyncDisposableStack,
  signal: AbortSignal | undefined,
): Promise<LogFiles> {
  const transport = disposables.use(await openTransport(entry, signal));
  const { stateDir } = await placesOn(entry, transport, signal);
  return new RemoteLogFiles(transport, path.posix.join(stateDir, 'deployments', deployment, 'logs'));
}

const logNames = (files: readonly string[]): string[] =>
  files.flatMap((file) => (file.endsWith('.log') ? [file.slice(0, -4)] : []));
