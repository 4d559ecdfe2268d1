/** One line of a report. */
export interface Figure {
  what: string;
  value: number;
  unit: string;
  /** How many times the value that `against` names, measured in the same run. */
  ratio?: number;
  against?: string;
}

export interface ScenarioReport {
  figures: Figure[];
  /** What a reader must know to use the figures. */
  notes: string[];
}

/** One file of test/bench: `npm run bench -- <name>` runs it alone. */
export interface Scenario {
  name: string;
  title: string;
  /** Resolves with a reason when something the scenario needs is missing: it is then left out, loudly. */
  run(context: ScenarioContext): Promise<ScenarioReport | { skipped: string }>;
}

export interface ScenarioContext {
  /** Root of the checkout. */
  root: string;
  /** A folder for this scenario alone, removed afterwards. */
  folder: string;
  /** Says what is going on, on stderr. */
  say(text: string): void;
  /** A try-out: fewer repetitions, figures not to be quoted. */
  quick: boolean;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
