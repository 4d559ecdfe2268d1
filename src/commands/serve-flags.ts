import type { RecipeFlags } from './recipe-options.ts';

export interface ServeFlags extends RecipeFlags {
  detach?: boolean;
  replace?: boolean;
  rolling?: boolean;
  ephemeral?: boolean;
  /** How long to wait; true: without end. */
  wait?: string | true;
  dryRun?: boolean;
  json?: boolean;
  /** False: `--no-tui`. */
  tui?: boolean;
}
