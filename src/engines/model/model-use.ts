/** How a worker uses its model, in words that all engines share; `flag` is where the recipe says it. */
export interface ModelUse {
  /** One file or a folder; null: either. */
  shape: 'file' | 'folder' | null;
  /** Of a hub id. */
  revision: string | undefined;
  /** Ranks among which attention heads are divided. */
  tensor: { ranks: number; flag: string };
  pipeline: { ranks: number; flag: string };
  /** Undefined: as long as the model allows. */
  maxLength: { tokens: number; flag: string } | undefined;
  /** A longer text than the model's is wanted all the same. */
  longerAllowed: boolean;
  /** What is put over the model's config.json. */
  overrides: Readonly<Record<string, unknown>>;
  /** It reads the tokenizer from the model's folder. */
  ownTokenizer: boolean;
  /** It reads weights out of the model's folder. */
  ownWeights: boolean;
}
