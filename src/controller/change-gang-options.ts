import type { DeploymentRecord, PendingChange } from '../deployment/record.ts';
import type { AgentLinks } from './agent-links.ts';
import type { CommitStore } from './commit-store.ts';

export interface ChangeGangOptions {
  record: DeploymentRecord;
  change: PendingChange;
  epoch: number;
  links: AgentLinks;
  discovery: CommitStore;
  signal: AbortSignal;
  onEvent(type: string, message: string): void;
}
