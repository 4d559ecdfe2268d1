import type { ServerResponse } from 'node:http';
import { internalError } from './api-error.ts';
import type { CompletionRequest } from './completion-request.ts';
import type { Generation, GenerationListener } from './generation.ts';
import type { FinishReason } from './metrics.ts';

/** What all answers to a completion request have in common. */
export interface AnswerContext {
  response: ServerResponse;
  request: CompletionRequest;
  /** `chatcmpl-<id>` or `cmpl-<id>`. */
  id: string;
  model: string;
  /** Unix seconds. */
  created: number;
}

/** Collects what the choices of a request do and writes it to the client. */
export abstract class Answer implements GenerationListener {
  readonly context: AnswerContext;
  readonly generations: Generation[] = [];
  protected unfinished = 0;
  protected failed = false;

  constructor(context: AnswerContext) {
    this.context = context;
  }

  add(generation: Generation): void {
    this.generations.push(generation);
    this.unfinished += 1;
  }

  abstract onToken(generation: Generation, token: number, text: string, finish: FinishReason | null): void;
  abstract onEnd(generation: Generation, finish: FinishReason): void;
  abstract flush(): void;

  onFailure(_generation: Generation): void {
    this.failed = true;
  }

  protected failureJson(): string {
    return JSON.stringify(internalError().body);
  }
}
