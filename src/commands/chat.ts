import type { ChatFlags } from './chat-arguments.ts';
import type { CommandEntry } from './command.ts';

export const chatCommand: CommandEntry = {
  name: 'chat',
  summary: 'Talk to a model: one prompt, standard input, or a conversation on a terminal',
  example: [
    'dynamo chat',
    'dynamo chat quickstart "Why is the sky blue?" --max-tokens 64',
    'git diff | dynamo chat quickstart "Review this:" -',
    'dynamo chat --url http://127.0.0.1:8000 "Hello"',
  ],
  define(command) {
    command
      .argument('[deployment]', 'name of the deployment (default: the only one that runs)')
      .argument(
        '[prompt...]',
        'what to ask; `-` stands for standard input (default: standard input, or a conversation)',
      )
      .option('--url <url>', 'ask this OpenAI-compatible server instead of a deployment')
      .option('--model <name>', 'model to ask for (default: the only one that is served)')
      .option('--system <text>', 'system message of the conversation')
      .option('--max-tokens <n>', "longest answer (default: the engine's own limit)")
      .option('--temperature <t>', "0 for the likeliest words (default: the engine's own)")
      .option('--api-key-env <variable>', 'environment variable that holds the API key')
      .option('--json', 'print the answer to one prompt as JSON')
      .action(async (deployment: string | undefined, prompt: string[], flags: ChatFlags) => {
        const { runChat } = await import('./chat-run.ts');
        await runChat([...(deployment === undefined ? [] : [deployment]), ...prompt], flags);
      });
  },
};
