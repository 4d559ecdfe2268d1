/** What `dynamo wait` can wait for. */
export const WAIT_GOALS = ['ready', 'stopped', 'idle'] as const;
export type WaitGoal = (typeof WAIT_GOALS)[number];
