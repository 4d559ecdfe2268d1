import type { Discovery } from '../discovery/discovery.ts';

/** What a controller does with the discovery store: it never registers anything. */
export type CommitStore = Pick<Discovery, 'open' | 'commit' | 'readCommit' | 'clear'> & AsyncDisposable;
