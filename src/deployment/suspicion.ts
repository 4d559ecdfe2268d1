import { formatDuration } from '../base/duration.ts';

/** A worker that a frontend sends no new requests to for now. */
export interface SuspicionSnapshot {
  frontend: string;
  worker: string;
  /** `silent`: nothing comes from its machine; `failing`: connections to it fail. */
  why: 'silent' | 'failing';
  forMs: number;
}

/** `prefill-1 is suspect for frontend: silent for 1.2 s; requests go elsewhere until it answers`. */
export function describeSuspicion({ frontend, worker, why, forMs }: SuspicionSnapshot): string {
  return `${worker} is suspect for ${frontend}: ${why} for ${formatDuration(forMs)}; requests go elsewhere until it answers`;
}
