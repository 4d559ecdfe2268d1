import { createInterface, type Interface } from 'node:readline';
import { DynamoError } from '../base/errors.ts';
import type { ChatAnswer } from '../chat/chat-answer.ts';
import type { ChatMessage } from '../chat/chat-request.ts';
import { dim } from './text-style.ts';

/**
 * A conversation on a terminal.
 *
 *   prompt ──a line──▶ answering ──end, or Ctrl-C──▶ prompt
 *      └─ Ctrl-C, Ctrl-D or /exit ─▶ left
 */
export interface Conversation {
  /** What is talked to, for the first line. */
  name: string;
  model: string;
  /** Asks and prints; a signal that aborts ends the answer early. */
  ask(turns: readonly ChatMessage[], signal: AbortSignal): Promise<ChatAnswer>;
}

const HELP = '/clear forgets the conversation, /exit leaves; a line that ends in \\ goes on';

/** Runs the conversation until the user leaves. A failed question is said and forgotten; the conversation goes on. */
export async function converse(conversation: Conversation): Promise<void> {
  const lines = createInterface({ input: process.stdin, output: process.stdout, prompt: '> ', historySize: 200 });
  const left = new AbortController();
  let answering: AbortController | undefined;
  lines.on('SIGINT', () => {
    if (answering) answering.abort();
    else lines.close();
  });
  lines.on('close', () => {
    left.abort();
    answering?.abort();
  });
  const onTerminate = (): void => lines.close();
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.once(signal, onTerminate);
  say(`${conversation.model} at ${conversation.name}. ${HELP}. Ctrl-C cuts an answer off, and leaves at the prompt.`);
  let turns: ChatMessage[] = [];
  try {
    for (;;) {
      const text = await readQuestion(lines, left.signal);
      if (text === undefined || text === '/exit' || text === '/quit') break;
      if (text === '') continue;
      if (text === '/clear') turns = [];
      else if (text.startsWith('/') && /^\/\w+$/.test(text)) say(HELP);
      else {
        answering = new AbortController();
        turns = await ask(conversation, [...turns, { role: 'user', content: text }], turns, answering.signal);
        answering = undefined;
      }
    }
  } finally {
    for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.removeListener(signal, onTerminate);
    lines.close();
    process.stdout.write('\n');
  }
}

/** The turns after the answer, or those before the question when it failed. */
async function ask(
  conversation: Conversation,
  asked: ChatMessage[],
  before: ChatMessage[],
  signal: AbortSignal,
): Promise<ChatMessage[]> {
  try {
    const { text } = await conversation.ask(asked, signal);
    return text === '' ? before : [...asked, { role: 'assistant', content: text }];
  } catch (error) {
    if (!(error instanceof DynamoError)) throw error;
    process.stderr.write(`error: ${error.message} [${error.code}]\nhint: ${error.hint}\n`);
    return before;
  }
}

/** One question, of several lines where a line ends in a backslash. Undefined when the user leaves. */
async function readQuestion(lines: Interface, left: AbortSignal): Promise<string | undefined> {
  let text = '';
  for (;;) {
    const line = await readLine(lines, text === '' ? '> ' : '… ', left);
    if (line === undefined) return undefined;
    if (!line.endsWith('\\')) return (text + line).trim();
    text += `${line.slice(0, -1)}\n`;
  }
}

function readLine(lines: Interface, prompt: string, left: AbortSignal): Promise<string | undefined> {
  if (left.aborted) return Promise.resolve(undefined);
  return new Promise((resolve) => {
    const done = (line: string | undefined): void => {
      left.removeEventListener('abort', leave);
      lines.removeListener('line', done);
      resolve(line);
    };
    const leave = (): void => done(undefined);
    left.addEventListener('abort', leave, { once: true });
    lines.once('line', done);
    lines.setPrompt(prompt);
    lines.prompt();
  });
}

function say(text: string): void {
  process.stderr.write(`${dim(text, process.stderr, process.env)}\n`);
}
