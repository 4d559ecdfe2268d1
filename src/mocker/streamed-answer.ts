import { Answer, type AnswerContext } from './answer.ts';
import type { Generation } from './generation.ts';
import { chatLogprob, textLogprobs } from './logprobs.ts';
import type { FinishReason } from './metrics.ts';
import { FINGERPRINT, streamedUsageJson } from './usage.ts';

/** Server-sent events, the bytes of one moment in one write. */
export class StreamedAnswer extends Answer {
  /** Everything before the choices of an event, and the same for choices of a chat. */
  readonly #head: string;
  readonly #begun = new Set<number>();
  /** Characters shown so far, by choice: the offsets of log probabilities. */
  readonly #shown: number[] = [];
  #pending = '';
  #over = false;
  readonly #isChunked: boolean;

  constructor(context: AnswerContext) {
    super(context);
    const { id, created, model, request, response } = context;
    const object = request.kind === 'chat' ? 'chat.completion.chunk' : 'text_completion';
    this.#head = `data: {"id":${JSON.stringify(id)},"object":"${object}","created":${created},"model":${JSON.stringify(model)},"choices":[`;
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
    response.flushHeaders();
    // Node would make four pieces of each chunk; framing it here makes one.
    this.#isChunked = response.chunkedEncoding;
    response.chunkedEncoding = false;
  }

  onToken(generation: Generation, token: number, text: string, finish: FinishReason | null): void {
    this.#begin(generation);
    this.#event(generation, text, [token], finish);
    if (finish) this.#finishOne();
  }

  onEnd(generation: Generation, finish: FinishReason): void {
    this.#begin(generation);
    this.#event(generation, '', [], finish);
    this.#finishOne();
  }

  flush(): void {
    const { response } = this.context;
    if (this.failed && !this.#over) this.#finish(`data: ${this.failureJson()}\n\n`);
    if (response.writableEnded || response.destroyed) return;
    const bytes = this.#pending;
    this.#pending = '';
    if (this.#over) response.end(this.#isChunked ? `${chunk(bytes)}0\r\n\r\n` : bytes);
    else if (bytes !== '') response.write(this.#isChunked ? chunk(bytes) : bytes);
  }

  #finishOne(): void {
    this.unfinished -= 1;
    if (this.unfinished > 0) return;
    const { request } = this.context;
    this.#finish(request.includeUsage ? `${this.#head}],${streamedUsageJson(this.generations, request)}}\n\n` : '');
  }

  #finish(lastEvent: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#pending += `${lastEvent}data: [DONE]\n\n`;
  }

  /** The first event of a chat choice has the role and no text. */
  #begin(generation: Generation): void {
    const { choice } = generation.options;
    if (this.#begun.has(choice)) return;
    this.#begun.add(choice);
    this.#shown[choice] = 0;
    const { request } = this.context;
    if (request.kind !== 'chat') return;
    const promptIds = request.returnTokenIds ? `[${request.prompts[0]!.join(',')}]` : 'null';
    this.#pending += `${this.#head}{"index":${choice},"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"prompt_token_ids":${promptIds},"prompt_text":null}\n\n`;
  }

  #event(generation: Generation, text: string, tokens: number[], finish: FinishReason | null): void {
    if (this.#over) return;
    const { request } = this.context;
    const { choice } = generation.options;
    const logprobs = request.logprobs < 0 || tokens.length === 0 ? 'null' : this.#logprobs(generation, tokens);
    const reason = finish === null ? 'null' : `"${finish}"`;
    const stop = finish === null ? '' : `,"stop_reason":${JSON.stringify(generation.stopReason)}`;
    const ids = request.returnTokenIds ? `[${tokens.join(',')}]` : 'null';
    // The last event of all has it: the one with the usage, if there is one.
    const isLast = finish !== null && this.unfinished === 1 && !request.includeUsage;
    const tail = isLast ? `],"system_fingerprint":"${FINGERPRINT}"}\n\n` : ']}\n\n';
    const content = JSON.stringify(text);
    this.#pending +=
      request.kind === 'chat'
        ? `${this.#head}{"index":${choice},"delta":{"content":${content}},"logprobs":${logprobs},"finish_reason":${reason}${stop},"token_ids":${ids}}${tail}`
        : `${this.#head}{"index":${choice},"text":${content},"logprobs":${logprobs},"finish_reason":${reason},"stop_reason":${JSON.stringify(generation.stopReason)},"prompt_token_ids":${this.#promptIds(generation)},"token_ids":${ids}}${tail}`;
    this.#shown[choice]! += text.length;
  }

  /** A text choice names its prompt's tokens in its first event. */
  #promptIds(generation: Generation): string {
    const first = generation.tokens.length <= 1;
    return this.context.request.returnTokenIds && first ? `[${generation.options.prompt.join(',')}]` : 'null';
  }

  #logprobs(generation: Generation, tokens: number[]): string {
    const { kind, logprobs } = this.context.request;
    const position = generation.tokens.length - tokens.length;
    if (kind === 'chat') {
      return JSON.stringify({ content: tokens.map((token, index) => chatLogprob(token, position + index, logprobs)) });
    }
    return JSON.stringify(textLogprobs(tokens, position, this.#shown[generation.options.choice]!, logprobs));
  }
}

/** One chunk of HTTP's chunked transfer coding. */
function chunk(text: string): string {
  return text === '' ? '' : `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
}
