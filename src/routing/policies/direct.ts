import { DynamoError } from '../../base/errors.ts';
import type { Policy } from '../policy.ts';

/** The caller names the worker; without a name there is nothing to choose. Pins are resolved before a policy is asked. */
export function direct(): Policy {
  return {
    usesBlocks: false,
    choose() {
      throw new DynamoError('INVALID_REQUEST', 'router mode `direct` needs a trusted worker pin', {
        hint: 'Start the frontend with --trust-client-pins and send the header x-dynamo-worker-instance-id.',
      });
    },
  };
}
