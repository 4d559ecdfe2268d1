// Writes a GGUF file that llama.cpp can serve: a tiny Llama with random weights, a byte-level vocabulary, a chat template.
// usage: node make-gguf.mjs FILE
import { writeFileSync } from 'node:fs';

const LAYERS = 2;
const WIDTH = 64;
const HEADS = 4;
const KV_HEADS = 2;
const INNER = 128;
const CONTEXT = 8_192;
const ALIGNMENT = 32;
const TYPE = { u32: 4, f32: 6, bool: 7, string: 8, array: 9, i32: 5 };
const F32_TENSOR = 0;
const CHAT_TEMPLATE =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}" +
  "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
const SPECIAL = ['<|endoftext|>', '<|im_start|>', '<|im_end|>'];
const NORMAL_TOKEN = 1;
const CONTROL_TOKEN = 3;

/** The letters by which byte-level BPE writes the 256 bytes: itself where it can be printed, else one from U+0100 up. */
function byteLetters() {
  const printable = (byte) => (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte !== 0xad);
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : next++));
}

function vocabulary() {
  const merges = ['t h', 'i n', 'e r', 'a n', 'Ġ t', 'Ġ a', 'Ġt h', 'Ġth e'];
  const tokens = [...SPECIAL, ...byteLetters(), ...merges.map((merge) => merge.replace(' ', ''))];
  return { tokens, merges };
}

/** Little-endian values of GGUF: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md */
const u32 = (value) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const u64 = (value) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
};
const f32 = (value) => {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
};
const string = (text) => {
  const bytes = Buffer.from(text);
  return Buffer.concat([u64(bytes.length), bytes]);
};
const WRITE = { u32, f32, string, i32: u32, bool: (value) => Buffer.from([value ? 1 : 0]) };

const member = (key, type, value) => Buffer.concat([string(key), u32(TYPE[type]), WRITE[type](value)]);
const list = (key, type, values) =>
  Buffer.concat([string(key), u32(TYPE.array), u32(TYPE[type]), u64(values.length), ...values.map(WRITE[type])]);

/** Numbers around 0, the same in every run (mulberry32, Box and Muller). */
function gaussian(seed) {
  let state = seed;
  const uniform = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

function metadata({ tokens, merges }) {
  return [
    member('general.architecture', 'string', 'llama'),
    member('general.name', 'string', 'tiny'),
    member('general.alignment', 'u32', ALIGNMENT),
    member('llama.vocab_size', 'u32', tokens.length),
    member('llama.context_length', 'u32', CONTEXT),
    member('llama.embedding_length', 'u32', WIDTH),
    member('llama.block_count', 'u32', LAYERS),
    member('llama.feed_forward_length', 'u32', INNER),
    member('llama.attention.head_count', 'u32', HEADS),
    member('llama.attention.head_count_kv', 'u32', KV_HEADS),
    member('llama.attention.layer_norm_rms_epsilon', 'f32', 1e-5),
    member('llama.rope.dimension_count', 'u32', WIDTH / HEADS),
    member('tokenizer.ggml.model', 'string', 'gpt2'),
    member('tokenizer.ggml.pre', 'string', 'gpt-2'),
    list('tokenizer.ggml.tokens', 'string', tokens),
    list(
      'tokenizer.ggml.token_type',
      'i32',
      tokens.map((_, index) => (index < SPECIAL.length ? CONTROL_TOKEN : NORMAL_TOKEN)),
    ),
    list('tokenizer.ggml.merges', 'string', merges),
    member('tokenizer.ggml.bos_token_id', 'u32', 0),
    member('tokenizer.ggml.eos_token_id', 'u32', 2),
    member('tokenizer.ggml.add_bos_token', 'bool', false),
    member('tokenizer.chat_template', 'string', CHAT_TEMPLATE),
  ];
}

/** Name, dimensions (fastest first) and standard deviation of each tensor; 0 stands for a norm's ones. */
function tensors(words) {
  const keys = (WIDTH / HEADS) * KV_HEADS;
  const layer = (index) => [
    [`blk.${index}.attn_norm.weight`, [WIDTH], 0],
    [`blk.${index}.attn_q.weight`, [WIDTH, WIDTH], 0.2],
    [`blk.${index}.attn_k.weight`, [WIDTH, keys], 0.2],
    [`blk.${index}.attn_v.weight`, [WIDTH, keys], 0.2],
    [`blk.${index}.attn_output.weight`, [WIDTH, WIDTH], 0.2],
    [`blk.${index}.ffn_norm.weight`, [WIDTH], 0],
    [`blk.${index}.ffn_gate.weight`, [WIDTH, INNER], 0.2],
    [`blk.${index}.ffn_up.weight`, [WIDTH, INNER], 0.2],
    [`blk.${index}.ffn_down.weight`, [INNER, WIDTH], 0.2],
  ];
  return [
    ['token_embd.weight', [WIDTH, words], 0.5],
    ...Array.from({ length: LAYERS }, (_, index) => layer(index)).flat(),
    ['output_norm.weight', [WIDTH], 0],
    ['output.weight', [WIDTH, words], 0.5],
  ];
}

const padded = (bytes) => Buffer.concat([bytes, Buffer.alloc(-bytes.length & (ALIGNMENT - 1))]);

/** Writes the file. */
export function makeGguf(file) {
  const words = vocabulary();
  const random = gaussian(1);
  const infos = [];
  const data = [];
  let offset = 0;
  for (const [name, shape, deviation] of tensors(words.tokens.length)) {
    const count = shape.reduce((product, size) => product * size, 1);
    const values = Float32Array.from({ length: count }, () => (deviation === 0 ? 1 : random() * deviation));
    const bytes = padded(Buffer.from(values.buffer));
    infos.push(string(name), u32(shape.length), ...shape.map(u64), u32(F32_TENSOR), u64(offset));
    data.push(bytes);
    offset += bytes.length;
  }
  const members = metadata(words);
  const head = [Buffer.from('GGUF'), u32(3), u64(data.length), u64(members.length), ...members, ...infos];
  writeFileSync(file, Buffer.concat([padded(Buffer.concat(head)), ...data]));
}

if (process.argv[1] === import.meta.filename) makeGguf(process.argv[2]);
