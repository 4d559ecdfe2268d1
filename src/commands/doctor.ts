import { type Command, InvalidArgumentError, Option } from 'commander';
import type { CommandEntry } from './command.ts';
import type { KvEventFlags } from './doctor-kv-events.ts';
import type { KvPathFlags } from './doctor-run.ts';
import { addSubcommand } from './subcommand.ts';

export const doctorCommand: CommandEntry = {
  name: 'doctor',
  summary: 'Say what works on this machine, and how to mend what does not',
  example: ['dynamo doctor', 'dynamo doctor kv-path', 'dynamo doctor tokens'],
  define(command: Command) {
    const sub = (name: string, summary: string, ...example: string[]): Command =>
      addSubcommand(command, name, summary, ...example);

    command.option('--json', 'print the findings as JSON').action(async (flags: { json?: boolean }) => {
      const { examineMachine } = await import('./doctor-run.ts');
      await examineMachine(flags);
    });

    sub(
      'kv-path',
      'Move KV cache from prefill to decode workers, and say how fast and by what it went',
      'dynamo doctor kv-path quickstart',
      'dynamo doctor kv-path --prefill http://10.0.0.7:8100 --decode http://10.0.0.8:8100 --engine vllm --model org/model',
    )
      .argument('[deployment]', 'name of the deployment (default: the only one that runs)')
      .option('--prefill <worker>', 'only this prefill worker: its name, or a URL of one that dynamo did not start')
      .option('--decode <worker>', 'only this decode worker: its name or URL')
      .addOption(new Option('--engine <engine>', 'with URLs: what runs there').choices(['vllm', 'sglang', 'trtllm']))
      .option('--model <name>', 'with URLs: served model name')
      .option('--bootstrap-port <port>', 'with URLs: port of SGLang’s bootstrap server', count)
      .option('--block-size <tokens>', 'with URLs: tokens in a KV block', count)
      .option('--prompt-words <n>', 'longer prompts move more bytes; three blocks unless given', count)
      .option('--repeat <n>', 'proofs of each pair; the first pays for first contact', count, 3)
      .option('--json', 'print the reports as JSON')
      // `--json` after the subcommand's name must not be taken for the command's own.
      .action(async (name: string | undefined, _flags: KvPathFlags, self: Command) => {
        const { examineKvPath } = await import('./doctor-run.ts');
        await examineKvPath(name, self.optsWithGlobals<KvPathFlags>());
      });

    sub(
      'tokens',
      'Compare how workers, and the frontend where it can, turn prompts into tokens',
      'dynamo doctor tokens quickstart',
    )
      .argument('[deployment]', 'name of the deployment (default: the only one that runs)')
      .option('--json', 'print the findings as JSON')
      .action(async (name: string | undefined, _flags: { json?: boolean }, self: Command) => {
        const { examineTokens } = await import('./doctor-run.ts');
        await examineTokens(name, self.optsWithGlobals<{ json?: boolean }>());
      });

    sub(
      'kv-events',
      'Print what workers publish of their KV caches: blocks stored, removed, cleared',
      'dynamo doctor kv-events quickstart --for 60',
      'dynamo doctor kv-events --json > events.jsonl',
    )
      .argument('[deployment]', 'name of the deployment (default: the only one that runs)')
      .option('--for <seconds>', 'how long; Ctrl-C ends it earlier', count, 10)
      .option('--json', 'print one object a line')
      .action(async (name: string | undefined, _flags: KvEventFlags, self: Command) => {
        const { printKvEvents } = await import('./doctor-kv-events.ts');
        await printKvEvents(name, self.optsWithGlobals<KvEventFlags>());
      });
  },
};

function count(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('must be a whole number above 0.');
  return value;
}
