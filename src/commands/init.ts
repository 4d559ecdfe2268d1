import { type Command, Option } from 'commander';
import type { CommandEntry } from './command.ts';
import type { InitFlags } from './init-choice.ts';

export const initCommand: CommandEntry = {
  name: 'init',
  summary: 'Write a commented recipe to begin with; asks on a terminal, asks nothing when options are given',
  example: [
    'dynamo init',
    'dynamo init one-host-pd --model Qwen/Qwen3-8B --gpus 2 --output my-llm.yaml',
    'dynamo init --list',
  ],
  define(command: Command) {
    command
      .argument('[template]', 'which one: see --list (default: what suits the GPUs of this machine)')
      .option('--model <name>', 'hub id, or path of the weights')
      .addOption(
        new Option('--engine <name>', 'engine of the workers').choices([
          'vllm',
          'sglang',
          'trtllm',
          'llamacpp',
          'mocker',
        ]),
      )
      .option('--gpus <n>', 'GPUs of each worker')
      .option('--port <n>', 'port of the frontend, or `auto` (default: 8000)')
      .option('-o, --output <file>', 'recipe to write (default: the template, `.yaml`, in this folder)')
      .option('-f, --force', 'overwrite files')
      .option('--list', 'print the templates')
      .option('--json', 'print the result as JSON; asks nothing')
      .action(async (template: string | undefined, flags: InitFlags) => {
        const { runInit } = await import('./init-run.ts');
        await runInit(template, flags);
      });
  },
};
