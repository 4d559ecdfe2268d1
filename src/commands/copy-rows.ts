import { formatBytes } from '../base/bytes.ts';
import { formatDuration } from '../base/duration.ts';
import type { CopySnapshot, DeploymentSnapshot } from '../deployment/snapshot.ts';

/** A copy to one host as a client has seen it. */
interface SeenCopy extends CopySnapshot {
  host: string;
  beganMs: number;
  /** Bytes when it was first seen. */
  beganBytes: number;
  isOver: boolean;
}

export interface BarSigns {
  full: string;
  empty: string;
}

const LONGEST_BAR = 30;
/** Below this there is nothing that a bar could show. */
const SHORTEST_BAR = 5;
const FIGURES = '100 % of 48 MiB, being unpacked'.length;
const READYING = ' is made ready on this machine';

/** Follows snapshots for what is copied to hosts, and puts it into rows. Pure but for what it remembers. Times are monotonic. */
export class CopyProgress {
  #copies: SeenCopy[] = [];
  /** Hosts as the plan has them. */
  #order: readonly string[] = [];

  /** Whether something is being copied. */
  take({ hosts = [], state }: DeploymentSnapshot, nowMs: number): boolean {
    this.#order = hosts.map(({ name }) => name);
    for (const { name: host, copying } of hosts) {
      const seen = this.#copies.find((copy) => copy.host === host && !copy.isOver);
      if (seen && seen.what !== copying?.what) {
        seen.isOver = true;
        // What was told of it last is a moment old. One that fails takes the start with it.
        if (state === 'starting' || state === 'ready' || state === 'degraded') seen.doneBytes = seen.totalBytes;
      }
      if (!copying) continue;
      if (seen && !seen.isOver)
        // What took until now was making it ready.
        Object.assign(seen, copying, seen.totalBytes === 0 ? { beganMs: nowMs, beganBytes: copying.doneBytes } : {});
      else this.#copies.push({ ...copying, host, beganMs: nowMs, beganBytes: copying.doneBytes, isOver: false });
    }
    return this.#copies.some((copy) => !copy.isOver);
  }

  /** One row a host, or one for all where they are more than `most`. Never wider than `columns`. */
  rows(nowMs: number, layout: { columns: number; most: number; signs: BarSigns }): string[] {
    const newest = this.#newest();
    const { columns, most, signs } = layout;
    if (newest.length > most) {
      const copies = newest.map((copy) => ({ ...copy, host: '', what: '' }));
      const left = newest.filter((copy) => !copy.isOver).length;
      return [row(joined(copies), `${newest.length - left} of ${newest.length} hosts`, nowMs, columns, signs)];
    }
    const width = Math.max(...newest.map(({ host }) => host.length));
    return newest.map((copy) => row(copy, `${copy.host.padEnd(width)}  ${copy.what}`, nowMs, columns, signs));
  }

  /** `copying to 2 hosts: gpu-a 45 % of 96 MiB, gpu-b 12 % of 96 MiB`, for output that nobody can draw on. */
  line(): string {
    const under = this.#newest().filter((copy) => !copy.isOver);
    const parts = under.map(
      (copy) => `${copy.host} ${copy.totalBytes === 0 ? `${copy.what}${READYING}` : share(copy).trim()}`,
    );
    return `copying dynamo to ${under.length === 1 ? '' : `${under.length} hosts: `}${parts.join(', ')}`;
  }

  /** What was copied since the last time; undefined for nothing. Forgets it. */
  summary(nowMs: number): string | undefined {
    const copied = this.#copies.filter((copy) => copy.totalBytes > 0 && copy.doneBytes >= copy.totalBytes);
    const began = Math.min(...this.#copies.map((copy) => copy.beganMs));
    this.#copies = [];
    if (copied.length === 0) return undefined;
    const hosts = this.#order.filter((name) => copied.some(({ host }) => host === name));
    const bytes = copied.reduce((sum, copy) => sum + copy.totalBytes, 0);
    return `copied dynamo to ${hosts.join(', ')}: ${formatBytes(bytes)} in ${formatDuration(nowMs - began)}`;
  }

  /** A host has one after the other. */
  #newest(): SeenCopy[] {
    const byHost = new Map<string, SeenCopy>();
    for (const copy of this.#copies) byHost.set(copy.host, copy);
    return this.#order.flatMap((name) => byHost.get(name) ?? []);
  }
}

function joined(copies: readonly SeenCopy[]): SeenCopy {
  const sum = (value: (copy: SeenCopy) => number) => copies.reduce((total, copy) => total + value(copy), 0);
  return {
    ...copies[0]!,
    doneBytes: sum((copy) => copy.doneBytes),
    totalBytes: sum((copy) => copy.totalBytes),
    beganBytes: sum((copy) => copy.beganBytes),
    beganMs: Math.min(...copies.map((copy) => copy.beganMs)),
    isOver: copies.every((copy) => copy.isOver),
  };
}

function row(copy: SeenCopy, label: string, nowMs: number, columns: number, signs: BarSigns): string {
  const figures = copy.totalBytes === 0 ? '' : `${share(copy)}${pace(copy, nowMs)}`;
  // The bar stays as long as it is when a rate comes to stand behind it.
  const room = columns - Math.max(figures.length, FIGURES) - 4;
  const bar = Math.min(LONGEST_BAR, room - label.length);
  if (copy.totalBytes === 0) return clip(`${label}${READYING}`, columns);
  if (bar < SHORTEST_BAR) return clip(`${clip(label, Math.max(8, room + 2))}  ${figures}`, columns);
  const full = Math.round((bar * copy.doneBytes) / copy.totalBytes);
  return `${label}  ${signs.full.repeat(full)}${signs.empty.repeat(bar - full)}  ${figures}`;
}

/** ` 45 % of 96 MiB` */
function share({ doneBytes, totalBytes }: CopySnapshot): string {
  return `${String(Math.floor((100 * doneBytes) / totalBytes)).padStart(3)} % of ${formatBytes(totalBytes)}`;
}

function pace({ doneBytes, totalBytes, beganBytes, beganMs, isOver }: SeenCopy, nowMs: number): string {
  const seconds = (nowMs - beganMs) / 1_000;
  if (isOver || seconds < 1) return '';
  if (doneBytes >= totalBytes) return ', being unpacked';
  return `, ${formatBytes((doneBytes - beganBytes) / seconds)}/s`;
}

const clip = (text: string, columns: number): string => text.slice(0, Math.max(0, columns));
