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

const HELP = "Ctrl-C ends an answer, or leaves; /clear forgets; \\ at a line's end goes on";

/** Runs the conversation until the user leaves. A failed question is said and forgotten; the conversation goes on. */
export async function converse(conversation: Conversation): Promise<void> {
  const lines = createInterface({ input: process.stdin, output: process.stdout, prompt: '> ', historySize: 200 });
  const typed = new TypedLines(lines);
  let answering: AbortController | undefined;
  lines.on('SIGINT', () => {
    if (answering) answering.abort();
    else lines.close();
  });
  lines.on('close', () => answering?.abort());
  const onTerminate = (): void => lines.close();
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.once(signal, onTerminate);
  say(`${conversation.model} at ${conversation.name}`);
  say(HELP);
  let turns: ChatMessage[] = [];
  try {
    for (;;) {
      const text = await readQuestion(typed);
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
async function readQuestion(typed: TypedLines): Promise<string | undefined> {
  let text = '';
  for (;;) {
    const line = await typed.next(text === '' ? '> ' : '. ');
    if (line === undefined) return undefined;
    if (!line.endsWith('\\')) return (text + line).trim();
    text += `${line.slice(0, -1)}\n`;
  }
}

/** Lines as they are typed, also ahead of their prompt or pasted together. */
class TypedLines {
  readonly #lines: Interface;
  readonly #waiting: string[] = [];
  #left = false;
  #wake: () => void = () => {};

  constructor(lines: Interface) {
    this.#lines = lines;
    lines.on('line', (line) => {
      this.#waiting.push(line);
      this.#wake();
    });
    lines.on('close', () => {
      this.#left = true;
      this.#wake();
    });
  }

  /** The next line; undefined when the user leaves. */
  async next(prompt: string): Promise<string | undefined> {
    if (this.#left) return undefined;
    this.#lines.setPrompt(prompt);
    if (this.#waiting.length === 0) this.#lines.prompt();
    while (this.#waiting.length === 0 && !this.#left) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#left ? undefined : this.#waiting.shift();
  }
}

function say(text: string): void {
  process.stderr.write(`${dim(text, process.stderr, process.env)}\n`);
}
