import { ROLES } from '../base/role.ts';
import type { ProcessSnapshot } from '../deployment/snapshot.ts';
import type { GpuUse } from '../hosts/gpu-use.ts';
import type { LinkState } from '../hosts/link-state.ts';
import type { ProcessLoad } from './data/process-load.ts';
import type { ViewState } from './deployment-view.ts';
import { linkLine, rdmaDown } from './text/link-line.ts';

/** A row of the process table: a process, or the head of a group of several with their sums. */
export type ProcessRow =
  | { kind: 'process'; process: ProcessSnapshot; load: ProcessLoad | null }
  | { kind: 'group'; label: string; ready: number; count: number; restarts: number; load: ProcessLoad }
  /** Under the head of a host that has GPUs. */
  | { kind: 'gpus'; host: string; gpus: GpuUse[] }
  /** Under the head of a host whose links are known. */
  | { kind: 'links'; host: string; text: string; isDown: boolean };

const NO_LOAD: ProcessLoad = { running: null, waiting: null, kvUsage: null, tokensPerSecond: null };

/** The table's rows, by role or by host. A role of a single process has no head; every host has one. Pure. */
export function processRows(view: ViewState, groupBy: 'role' | 'host'): ProcessRow[] {
  return groupsOf(view, groupBy).flatMap(({ label, processes, gpus, links }) => {
    const rows: ProcessRow[] = processes.map((process) => ({
      kind: 'process',
      process,
      load: view.loads[process.name] ?? null,
    }));
    if (groupBy === 'role' && processes.length < 2) return rows;
    const use: ProcessRow[] = gpus.length > 0 ? [{ kind: 'gpus', host: label, gpus }] : [];
    const text = linkLine(links);
    const own: ProcessRow[] =
      text === null ? [] : [{ kind: 'links', host: label, text, isDown: rdmaDown(links).length > 0 }];
    return [headOf(label, processes, view), ...use, ...own, ...rows];
  });
}

/** Names in the order of the table. */
export function processOrder(view: ViewState, groupBy: 'role' | 'host'): string[] {
  return groupsOf(view, groupBy).flatMap(({ processes }) => processes.map((process) => process.name));
}

function groupsOf(
  view: ViewState,
  groupBy: 'role' | 'host',
): { label: string; processes: ProcessSnapshot[]; gpus: GpuUse[]; links: LinkState[] }[] {
  const { processes, agents, hosts = [] } = view.snapshot;
  const groups =
    groupBy === 'role'
      ? ROLES.map((role) => ({
          label: role,
          processes: processes.filter((process) => process.role === role),
          gpus: [],
          links: [],
        }))
      : agents.map(({ host, state }) => ({
          label: state === 'connected' ? host : `${host} (${state})`,
          processes: processes.filter((process) => process.host === host),
          gpus: hosts.find(({ name }) => name === host)?.gpus ?? [],
          links: hosts.find(({ name }) => name === host)?.links ?? [],
        }));
  return groups.filter((group) => group.processes.length > 0);
}

function headOf(label: string, processes: readonly ProcessSnapshot[], view: ViewState): ProcessRow {
  const loads = processes.map((process) => view.loads[process.name] ?? NO_LOAD);
  const usages = loads.flatMap(({ kvUsage }) => (kvUsage === null ? [] : [kvUsage]));
  return {
    kind: 'group',
    label,
    ready: processes.filter((process) => process.state === 'ready').length,
    count: processes.length,
    restarts: processes.reduce((sum, process) => sum + process.restarts, 0),
    load: {
      running: total(loads, 'running'),
      waiting: total(loads, 'waiting'),
      kvUsage: usages.length === 0 ? null : usages.reduce((sum, usage) => sum + usage, 0) / usages.length,
      tokensPerSecond: total(loads, 'tokensPerSecond'),
    },
  };
}

function total(loads: readonly ProcessLoad[], key: 'running' | 'waiting' | 'tokensPerSecond'): number | null {
  const known = loads.flatMap((load) => (load[key] === null ? [] : [load[key]]));
  return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0);
}
