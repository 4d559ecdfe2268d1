/** What a model's own `config.json` says, as far as plans and checks need it. Null: it does not say. */
export interface ModelConfig {
  architectures: string[];
  layers: number | null;
  attentionHeads: number | null;
  /** Those that are divided among tensor-parallel ranks; null with latent attention, where every rank has the whole. */
  kvHeads: number | null;
  /** The most tokens of prompt and answer together, its rotary scaling included. */
  maxLength: number | null;
  /** `bfloat16`. */
  dtype: string | null;
  /** Some layers keep another kind of KV cache than full attention does: sliding windows, chunks, state spaces. */
  hybridKv: boolean;
  /** It has state-space or linear-attention layers. */
  stateSpace: boolean;
  encoderDecoder: boolean;
}

type Fields = Readonly<Record<string, unknown>>;

/** Keys under which models state how long a text they take; vLLM looks for the same. */
const LENGTH_KEYS = [
  ...['max_position_embeddings', 'n_positions', 'max_seq_len', 'seq_length', 'max_target_positions'],
  ...['max_sequence_length', 'max_seq_length', 'seq_len'],
];

/** Keys that only models with state-space layers have. */
const STATE_KEYS = ['ssm_cfg', 'mamba_d_state', 'mamba_d_conv', 'ssm_state_size', 'linear_num_key_heads'];

/** Reads a parsed `config.json`; `undefined` when it is not one. `overrides`: what the engine is told to put over it. */
export function readModelConfig(data: unknown, overrides: Fields = {}): ModelConfig | undefined {
  if (!isMap(data)) return undefined;
  const all = { ...data, ...overrides };
  // Models that also see or hear keep what concerns text in a map of its own.
  const text = [all['text_config'], all['llm_config'], all['language_config']].find(isMap);
  const fields: Fields = text ? { ...all, ...text, ...overrides } : all;
  const layerTypes = listOfTexts(fields['layer_types'] ?? fields['layers_block_type']);
  const stateSpace =
    STATE_KEYS.some((key) => fields[key] !== undefined && fields[key] !== null) ||
    layerTypes.some((type) => /mamba|linear|recurrent|ssm|conv/.test(type)) ||
    typeof fields['hybrid_override_pattern'] === 'string';
  const attentionHeads = count(fields['num_attention_heads'] ?? fields['n_head'] ?? fields['n_heads']);
  const latent = count(fields['kv_lora_rank']) !== null;
  return {
    architectures: listOfTexts(all['architectures']),
    layers: count(fields['num_hidden_layers'] ?? fields['n_layer'] ?? fields['n_layers']),
    attentionHeads,
    kvHeads: latent ? null : (count(fields['num_key_value_heads'] ?? fields['num_kv_heads']) ?? attentionHeads),
    maxLength: maxLength(fields),
    dtype: typeOf(fields['dtype'] ?? fields['torch_dtype']),
    hybridKv:
      stateSpace ||
      layerTypes.some((type) => type !== 'full_attention' && type !== 'attention') ||
      windowed(fields, layerTypes),
    stateSpace,
    encoderDecoder: all['is_encoder_decoder'] === true,
  };
}

/** Sliding windows or chunks where no list of layers says which are which. */
function windowed(fields: Fields, layerTypes: readonly string[]): boolean {
  if (count(fields['attention_chunk_size']) !== null) return true;
  if (layerTypes.length > 0 || fields['use_sliding_window'] === false) return false;
  return count(fields['sliding_window']) !== null;
}

/** Versions of engines differ in how they count YaRN: the most that any of them allows. */
function maxLength(fields: Fields): number | null {
  const stated = LENGTH_KEYS.flatMap((key) => count(fields[key]) ?? []);
  const own = count(fields['model_max_length']);
  if (stated.length === 0) return own;
  const base = Math.min(...stated);
  const scalings = [fields['rope_scaling'], fields['rope_parameters']].filter(isMap).flatMap((map) => {
    // Some models have one for each kind of layer.
    const nested = Object.values(map).filter(isMap);
    return nested.length > 0 ? nested : [map];
  });
  const scaled = scalings.flatMap((scaling) => {
    const kind = scaling['rope_type'] ?? scaling['type'];
    const factor = scaling['factor'];
    if (typeof factor !== 'number' || kind === 'llama3' || kind === 'su' || kind === 'longrope') return [];
    return base * factor;
  });
  return Math.max(base, own ?? 0, ...scaled);
}

const typeOf = (value: unknown): string | null => (typeof value === 'string' ? value.replace(/^torch\./, '') : null);

const count = (value: unknown): number | null =>
  typeof value === 'number' && Number.isInteger(value) && value > 0 ? value : null;

const listOfTexts = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];

const isMap = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);
