import { describe, expect, it } from 'vitest';
import { readModelConfig } from '../../../../src/engines/model/model-config.ts';

/** The fields that matter, out of the config.json that each of these models is published with. */
const QWEN3_32B = {
  ...{ architectures: ['Qwen3ForCausalLM'], model_type: 'qwen3', torch_dtype: 'bfloat16' },
  ...{ num_hidden_layers: 64, num_attention_heads: 64, num_key_value_heads: 8, max_position_embeddings: 40_960 },
  ...{ sliding_window: null, use_sliding_window: false, rope_scaling: null },
};
const GPT_OSS_120B = {
  ...{ architectures: ['GptOssForCausalLM'], num_hidden_layers: 4, num_attention_heads: 64, num_key_value_heads: 8 },
  ...{
    layer_types: ['sliding_attention', 'full_attention', 'sliding_attention', 'full_attention'],
    sliding_window: 128,
  },
  ...{ max_position_embeddings: 131_072, initial_context_length: 4_096 },
  rope_scaling: { rope_type: 'yarn', factor: 32, original_max_position_embeddings: 4_096 },
};
const DEEPSEEK_R1 = {
  ...{ architectures: ['DeepseekV3ForCausalLM'], num_hidden_layers: 61, num_attention_heads: 128 },
  ...{ num_key_value_heads: 128, kv_lora_rank: 512, max_position_embeddings: 163_840, torch_dtype: 'bfloat16' },
  rope_scaling: { type: 'yarn', factor: 40, original_max_position_embeddings: 4_096 },
};
const LLAMA_33_70B = {
  ...{ architectures: ['LlamaForCausalLM'], num_hidden_layers: 80, num_attention_heads: 64, num_key_value_heads: 8 },
  ...{ max_position_embeddings: 131_072, torch_dtype: 'bfloat16' },
  rope_scaling: { rope_type: 'llama3', factor: 8, original_max_position_embeddings: 8_192 },
};
const QWEN3_NEXT = {
  ...{
    architectures: ['Qwen3NextForCausalLM'],
    num_hidden_layers: 48,
    num_attention_heads: 16,
    num_key_value_heads: 2,
  },
  ...{
    layer_types: ['linear_attention', 'full_attention'],
    linear_num_key_heads: 16,
    max_position_embeddings: 262_144,
  },
};
const GEMMA_3 = {
  architectures: ['Gemma3ForConditionalGeneration'],
  text_config: {
    ...{ num_hidden_layers: 62, num_attention_heads: 32, num_key_value_heads: 16, max_position_embeddings: 131_072 },
    sliding_window: 1_024,
    rope_scaling: { factor: 8, rope_type: 'linear' },
  },
};

describe('readModelConfig', () => {
  it.each([
    [
      'Qwen3-32B',
      QWEN3_32B,
      { layers: 64, attentionHeads: 64, kvHeads: 8, maxLength: 40_960, hybridKv: false, dtype: 'bfloat16' },
    ],
    ['gpt-oss-120b', GPT_OSS_120B, { kvHeads: 8, hybridKv: true, stateSpace: false }],
    ['DeepSeek-R1', DEEPSEEK_R1, { layers: 61, attentionHeads: 128, kvHeads: null, hybridKv: false }],
    ['Llama-3.3-70B', LLAMA_33_70B, { maxLength: 131_072, kvHeads: 8, hybridKv: false }],
    ['Qwen3-Next', QWEN3_NEXT, { hybridKv: true, stateSpace: true, kvHeads: 2 }],
    ['Gemma 3', GEMMA_3, { attentionHeads: 32, kvHeads: 16, layers: 62, hybridKv: true }],
  ])('%s', (_, json, expected) => {
    expect(readModelConfig(json)).toMatchObject(expected);
  });

  it('allows the most that any version of an engine does where a model is stretched', () => {
    expect(readModelConfig(DEEPSEEK_R1)?.maxLength).toBeGreaterThanOrEqual(163_840);
    const yarn = { rope_scaling: { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 32_768 } };
    expect(readModelConfig(QWEN3_32B, { ...yarn, max_position_embeddings: 131_072 })?.maxLength).toBeGreaterThanOrEqual(
      131_072,
    );
    expect(readModelConfig({ n_positions: 1_024, n_head: 12, n_layer: 12 })).toMatchObject({
      ...{ maxLength: 1_024, attentionHeads: 12, kvHeads: 12, layers: 12 },
    });
  });

  it('leaves open what is not said, and takes anything', () => {
    expect(readModelConfig({})).toEqual({
      ...{ architectures: [], layers: null, attentionHeads: null, kvHeads: null, maxLength: null, dtype: null },
      ...{ hybridKv: false, stateSpace: false, encoderDecoder: false },
    });
    for (const junk of [null, 3, 'x', []]) expect(readModelConfig(junk)).toBeUndefined();
    const odd = { num_attention_heads: '64', layer_types: 7, rope_scaling: 'x', text_config: [], torch_dtype: 1 };
    expect(readModelConfig(odd)).toMatchObject({ attentionHeads: null, maxLength: null, hybridKv: false, dtype: null });
  });
});
