import { describe, expect, it } from 'vitest';
import { parseHelp, unknownFlags } from '../../../src/engines/flag-check.ts';

const VLLM = `usage: vllm serve [model_tag] [options]

Search by using: \`--help=<ConfigGroup>\` to explore options by section (e.g.,
--help=ModelConfig, --help=Frontend)

options:
  --api-server-count API_SERVER_COUNT, -asc API_SERVER_COUNT
                        How many API server processes to run. Defaults to
                        data_parallel_size if not specified. (default: None)
  --enable-log-requests, --no-enable-log-requests
                        Enable logging request information, dependent on log
                        level:
                        - INFO: Request ID, parameters and --lora-request.
  --host HOST           Host name. (default: None)
  --port PORT           Port number. (default: 8000)
  --max-model-len MAX_MODEL_LEN
  --tensor-parallel-size TENSOR_PARALLEL_SIZE, -tp TENSOR_PARALLEL_SIZE
  --compilation-config COMPILATION_CONFIG, -cc COMPILATION_CONFIG
`;
const TRTLLM = `Usage: trtllm-serve serve [OPTIONS] MODEL

Options:
  --host TEXT                     Hostname of the server.
  --port INTEGER                  Port of the server.
  --tp_size, --tensor_parallel_size INTEGER
                                  Tensor parallelism size.
  --trust_remote_code             Flag for HF transformers.
  --help                          Show this message and exit.
`;
const LLAMA = `----- common params -----

-h,    --help, --usage                  print usage and exit
-c,    --ctx-size N                     size of the prompt context (default: 0, 0 = loaded from model)
                                        (env: LLAMA_ARG_CTX_SIZE)
--mmap, --no-mmap                       whether to memory-map model

----- server-specific params -----

--host HOST                             ip address to listen, see also --path-of-host
--port PORT                             port to listen (default: 8080)
-sps,  --slot-prompt-similarity SIMILARITY
`;

describe('parseHelp', () => {
  it('reads the help of argparse', () => {
    expect([...parseHelp(VLLM)!]).toEqual([
      ...['help', 'api-server-count', 'enable-log-requests', 'no-enable-log-requests', 'host', 'port', 'max-model-len'],
      ...['tensor-parallel-size', 'compilation-config'],
    ]);
  });

  it('reads the help of click, and of llama.cpp', () => {
    const trtllm = ['host', 'port', 'tp-size', 'tensor-parallel-size', 'trust-remote-code', 'help'];
    expect([...parseHelp(TRTLLM)!]).toEqual(trtllm);
    const llama = ['help', 'usage', 'ctx-size', 'mmap', 'no-mmap', 'host', 'port', 'slot-prompt-similarity'];
    expect([...parseHelp(LLAMA)!]).toEqual(llama);
  });

  it.each(['', 'usage: vllm [-h] {chat,serve}\n  -h, --help  show this help', 'Traceback (most recent call last):'])(
    'does not take %j for the help of a server',
    (text) => {
      expect(parseHelp(text)).toBeUndefined();
    },
  );
});

describe('unknownFlags', () => {
  const known = parseHelp(VLLM)!;

  it('names what is not listed, with the nearest name', () => {
    const argv = ['org/m', '--port', '1', '--max-model-length', '4096', '--disable-log-requests', '--zzz=1', '--zzz'];
    expect(unknownFlags(argv, known)).toEqual([
      { flag: '--max-model-length', meant: '--max-model-len' },
      { flag: '--disable-log-requests', meant: '--enable-log-requests' },
      { flag: '--zzz', meant: undefined },
    ]);
  });

  it('takes other spellings, parts of a map and unambiguous beginnings as the parsers do', () => {
    const argv = ['--max_model_len', '1', '--compilation-config.mode', '3', '--api-server', '2', '{"--odd":1}', '-tp'];
    expect(unknownFlags(argv, known)).toEqual([]);
  });

  it('knows that a switch has no no-form', () => {
    expect(unknownFlags(['--no-trust_remote_code'], parseHelp(TRTLLM)!)).toEqual([
      { flag: '--no-trust_remote_code', meant: '--trust-remote-code' },
    ]);
  });
});
