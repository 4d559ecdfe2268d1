import { type Command, Option } from 'commander';
import type { BenchCommandFlags } from './bench-run.ts';
import type { CommandEntry } from './command.ts';
import { NODE_ARCHIVE_OPTION } from './recipe-options.ts';

const collect = (value: string, all: string[] = []): string[] => [...all, value];

/** Spellings of AIPerf that mean the same as an option here (FLAG_ALIASES in bench/bench-options.ts); not in the help. */
const AIPERF_SPELLINGS = [
  'synthetic-input-tokens-mean',
  'prompt-input-tokens-mean',
  'synthetic-input-tokens-stddev',
  'prompt-input-tokens-stddev',
  'output-tokens-mean',
  'output-tokens-stddev',
  'num-requests',
  'num-warmup-requests',
  'request-rate-mode',
  'input-file',
  'isl-block-size',
  'synthesis-speedup-ratio',
  'synthesis-max-isl',
  'synthesis-max-osl',
];

export const benchCommand: CommandEntry = {
  name: 'bench',
  summary: 'Measure a deployment, a recipe served for it, or any OpenAI-compatible server, under load',
  example: [
    'dynamo bench recipes/quickstart.yaml --concurrency 4        # serves, measures, stops',
    'dynamo bench quickstart --concurrency 8 --request-count 200 --isl 1024 --osl 128',
    'dynamo bench http://127.0.0.1:8000 --request-rate 4 --goodput "time_to_first_token:500 inter_token_latency:20"',
    'dynamo bench quickstart --trace conversation_trace.jsonl --max-rows 300 --speedup-ratio 10 --json',
  ],
  define(command: Command) {
    command
      .argument('<target>', 'a deployment, a recipe (served, measured and stopped), or the URL of a server')
      .option('--model <name>', 'model to ask for (default: the only one the server lists)')
      .option('--endpoint-type <type>', 'chat or completions (default: chat, with --trace completions)')
      .option('--no-streaming', 'ask for whole answers; then only whole requests are measured')
      .addOption(new Option('--streaming').default(true).hideHelp())
      .optionsGroup('Load:')
      .option('--concurrency <n>', 'requests in flight at once (default: 1); with a rate or a schedule: at most')
      .option('--request-rate <r>', 'requests per second, sent whether or not earlier ones are answered')
      .option('--arrival-pattern <p>', 'gaps between requests of a rate: poisson or constant', 'poisson')
      .option('--request-count <n>', 'requests to send (default: the whole trace, else at least 100 and 10 per slot)')
      .option('--benchmark-duration <s>', 'stop sending after this many seconds')
      .option('--benchmark-grace-period <s>', 'then wait this long for answers before cancelling', '30')
      .option('--warmup-request-count <n>', 'requests sent before, and not measured', '0')
      .option('--request-timeout-seconds <s>', 'a request that takes longer has failed', '600')
      .optionsGroup('Synthetic prompts:')
      .option('--isl <tokens>', 'mean input length (default: 550)')
      .option('--isl-stddev <tokens>', 'its standard deviation', '0')
      .option('--osl <tokens>', 'mean output length (default: 128)')
      .option('--osl-stddev <tokens>', 'its standard deviation', '0')
      .optionsGroup('Trace replay:')
      .option('--trace <file>', 'Mooncake trace: JSON lines with timestamp, input_length, output_length, hash_ids')
      .option('--speedup-ratio <x>', 'replay x times as fast as recorded', '1')
      .option('--max-rows <n>', 'use the first n rows')
      .option('--trace-block-size <tokens>', 'tokens per hash id', '512')
      .option('--no-fixed-schedule', 'ignore the times: keep --concurrency requests in flight')
      .option('--max-isl <tokens>', 'cut longer inputs')
      .option('--max-osl <tokens>', 'cut longer outputs')
      .optionsGroup('Requests:')
      .option('--random-seed <n>', 'seed of prompts, lengths and arrivals', '0')
      .option('--no-ignore-eos', 'do not ask for exactly the output length (min_tokens, ignore_eos)')
      .option('--no-use-server-token-count', "count tokens here instead of taking the server's usage")
      .option('--extra-inputs <key:value>', 'further body field, or a JSON object (repeatable)', collect)
      .option('-H, --header <line>', 'further header, "Name: value" (repeatable)', collect)
      .option('--api-key-env <variable>', 'environment variable that holds the API key')
      .optionsGroup('Report:')
      .option(
        '--goodput <limits>',
        'limits a good request keeps, such as "time_to_first_token:100 inter_token_latency:20"',
      )
      .option('--failed-request-threshold <n>', 'exit with 8 when more requests than this fail', '0')
      .option(
        '--artifact-dir <dir>',
        "write AIPerf's files there: profile_export_aiperf.json and .csv, profile_export.jsonl",
      )
      .option('--no-chart', 'leave the charts under the tables out')
      .option('--json', 'print one JSON document instead of tables')
      .optionsGroup('Serving a recipe:')
      .option('--set <path=value>', 'override a value of the recipe (repeatable)', collect)
      .option('--hosts <file>', 'run on the hosts of this file (default: those of the recipe, else this machine)')
      .option(...NODE_ARCHIVE_OPTION)
      .option('--keep', 'keep state and logs of the deployment');
    for (const alias of AIPERF_SPELLINGS) command.addOption(new Option(`--${alias} <value>`).hideHelp());
    command.action(async (target: string, flags: BenchCommandFlags) => {
      const { runBenchCommand } = await import('./bench-run.ts');
      await runBenchCommand(target, flags);
    });
  },
};
