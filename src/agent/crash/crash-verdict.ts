/** One cause and one next step. */
export interface CrashVerdict {
  cause: string;
  fix: string | null;
}
