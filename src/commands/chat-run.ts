import { DynamoError } from '../base/errors.ts';
import { chooseModel, listServedModels } from '../bench/served-models.ts';
import { parseTarget } from '../bench/target.ts';
import { askChat, type ChatTarget } from '../chat/ask-chat.ts';
import { type ChatAnswer, describeAnswer } from '../chat/chat-answer.ts';
import type { ChatMessage, ChatOptions } from '../chat/chat-request.ts';
import { printable } from '../chat/printable.ts';
import { findEndpoint, theOnlyDeployment } from '../deployment/local-view.ts';
import { listDeploymentNames } from '../deployment/state-dir.ts';
import type { ChatFlags } from './chat-arguments.ts';
import { readSampling, splitChatWords } from './chat-arguments.ts';
import { converse } from './chat-session.ts';
import { dim, fold } from './text-style.ts';

/** `dynamo chat`: one answer on standard output, or a conversation; what was measured goes to standard error. */
export async function runChat(words: readonly string[], flags: ChatFlags): Promise<void> {
  const sampling = readSampling(flags);
  const headers = keyHeader(flags.apiKeyEnv);
  const given = splitChatWords(words, listDeploymentNames(), flags.url !== undefined);
  const name = flags.url ?? given.deployment ?? theOnlyDeployment();
  const { url } = parseTarget(flags.url ?? findEndpoint(name));
  const target: ChatTarget = { url, headers };
  const interactive = given.prompt.length === 0 && process.stdin.isTTY === true && process.stdout.isTTY === true;
  if (interactive && flags.json)
    throw new DynamoError('USAGE', '--json is for one prompt', { hint: 'Name the prompt.' });
  const prompt = interactive ? '' : await readPrompt(given.prompt);
  const ended = new AbortController();
  const model = flags.model ?? chooseModel(await listServedModels(parseTarget(url), headers, ended.signal), url);
  const options: ChatOptions = { model, system: flags.system, ...sampling };
  if (interactive) {
    await converse({
      name,
      model,
      ask: (turns, signal) => answer(target, options, turns, signal),
    });
    return;
  }
  const interrupt = (): void => ended.abort();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, interrupt);
  try {
    await askOnce(target, options, prompt, flags.json === true, ended.signal);
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.removeListener(signal, interrupt);
  }
}

async function askOnce(
  target: ChatTarget,
  options: ChatOptions,
  prompt: string,
  json: boolean,
  signal: AbortSignal,
): Promise<void> {
  const turns: ChatMessage[] = [{ role: 'user', content: prompt }];
  if (!json) {
    await answer(target, options, turns, signal);
    return;
  }
  const result = await askChat(target, options, turns, { signal, now: () => performance.now(), onPiece: () => {} });
  process.stdout.write(`${JSON.stringify({ schemaVersion: 1, url: target.url, model: options.model, ...result })}\n`);
}

/** Asks, prints the answer as it comes and one line about it. */
async function answer(
  target: ChatTarget,
  options: ChatOptions,
  turns: readonly ChatMessage[],
  signal: AbortSignal,
): Promise<ChatAnswer> {
  const clean = process.stdout.isTTY === true ? printable : (text: string) => text;
  let inThoughts = false;
  const result = await askChat(target, options, turns, {
    signal,
    now: () => performance.now(),
    onPiece: ({ kind, text }) => {
      // Thoughts are not the answer: they are shown, but not where a script reads.
      if (kind === 'reasoning') process.stderr.write(dim(clean(text), process.stderr, process.env));
      else process.stdout.write(inThoughts ? `\n${clean(text)}` : clean(text));
      inThoughts = kind === 'reasoning';
    },
  }).catch((error: unknown) => {
    if (inThoughts) process.stderr.write('\n');
    throw error;
  });
  if (result.text !== '' && !result.text.endsWith('\n')) process.stdout.write('\n');
  else if (inThoughts) process.stderr.write('\n');
  const lines = fold(describeAnswer(result), process.stderr.columns ?? Number.POSITIVE_INFINITY);
  for (const line of lines) process.stderr.write(`${dim(line, process.stderr, process.env)}\n`);
  return result;
}

/** The words of the command line, with standard input for `-`, or for no words at all. */
async function readPrompt(words: readonly string[]): Promise<string> {
  const needsInput = words.length === 0 || words.includes('-');
  const input = needsInput ? await readAll(process.stdin) : '';
  const prompt = words.length === 0 ? input : words.map((word) => (word === '-' ? `\n${input}` : word)).join(' ');
  if (prompt.trim() !== '') return prompt.trim();
  throw new DynamoError('USAGE', 'there is no prompt', {
    hint: 'Give one: dynamo chat NAME "Hello"; or pipe one in; or run it on a terminal for a conversation.',
  });
}

async function readAll(stream: NodeJS.ReadStream): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(Buffer.from(part as Buffer));
  return Buffer.concat(parts).toString('utf8');
}

function keyHeader(variable: string | undefined): Record<string, string> {
  if (variable === undefined) return {};
  const key = process.env[variable];
  if (!key) throw new DynamoError('SECRET_MISSING', `--api-key-env: ${variable} is not set`);
  return { authorization: `Bearer ${key}` };
}
