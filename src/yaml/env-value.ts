/** A literal, or the name of a place that holds a secret: never the secret itself. */
export type EnvValue = string | { fromEnv: string } | { fromFile: string };
