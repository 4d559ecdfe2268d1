import type { EnvValue } from '../plan/launch-plan.ts';

/** Where a secret is named: a variable or a file of some machine. */
export type SecretPlace = Exclude<EnvValue, string>;

/** Under which key it is sent: `env:NAME`, `file:PATH`. */
export const secretKey = (value: SecretPlace): string =>
  'fromEnv' in value ? `env:${value.fromEnv}` : `file:${value.fromFile}`;
