import { DynamoError } from '../base/errors.ts';
import type { ProcessSpec } from '../plan/launch-plan.ts';
import type { EventLog } from '../supervise/event-log.ts';
import type { AgentLinks } from './agent-links.ts';
import type { RecordKeeper } from './record-keeper.ts';

export interface ProcessActionsContext {
  record: RecordKeeper;
  links: AgentLinks;
  events: EventLog;
}

/** What can be asked for single processes of a committed deployment. */
export class ProcessActions {
  readonly #context: ProcessActionsContext;

  constructor(context: ProcessActionsContext) {
    this.#context = context;
  }

  /** Throws `USAGE` when the plan has none of that name, `HOST_UNREACHABLE` when its host has no agent that answers. */
  async act(action: 'drain' | 'restart', name: string): Promise<void> {
    const spec = this.#find(name);
    const link = this.#context.links.to(spec.host);
    this.#context.events.write(action, `asked to ${action} it`, name);
    await link.request(action, { name });
  }

  #find(name: string): ProcessSpec {
    const { current } = this.#context.record;
    const spec = current.plan.processes.find((process) => process.name === name);
    if (!spec) {
      const names = current.plan.processes.map((process) => process.name).join(', ');
      throw new DynamoError('USAGE', `there is no process ${name}`, { hint: `There are ${names}.` });
    }
    if (current.phase !== 'committed') throw new DynamoError('DEPLOYMENT_BUSY', `${current.name} is ${current.phase}`);
    return spec;
  }
}
