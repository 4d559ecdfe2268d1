import { isDone, lastEventEnd, splitEvents } from '../openai/sse-events.ts';
import { readUsage, type Usage } from '../openai/usage.ts';

/** A piece of an answer: what the model thinks, or what it says. */
export interface ChatPiece {
  kind: 'reasoning' | 'text';
  text: string;
}

/** Reads the events of one streamed chat completion as its bytes come, in whatever cuts. */
export class ChatStream {
  #rest: Buffer = Buffer.alloc(0);
  usage: Usage | undefined;
  finishReason: string | undefined;
  /** What the server said went wrong in the middle of the stream. */
  error: string | undefined;
  /** The server has said that nothing follows. */
  done = false;

  /** Pieces in the events that are whole now. */
  push(bytes: Buffer): ChatPiece[] {
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    const end = lastEventEnd(all);
    this.#rest = all.subarray(end);
    return this.#read(all.subarray(0, end));
  }

  /** The stream has ended: a last event without its blank line counts too. */
  end(): ChatPiece[] {
    const rest = this.#rest;
    this.#rest = Buffer.alloc(0);
    return this.#read(rest);
  }

  #read(bytes: Buffer): ChatPiece[] {
    const pieces: ChatPiece[] = [];
    for (const { data } of splitEvents(bytes)) {
      if (data === undefined) continue;
      if (isDone(data)) this.done = true;
      else pieces.push(...this.#readChunk(data));
    }
    return pieces;
  }

  #readChunk(data: Buffer): ChatPiece[] {
    this.usage = readUsage(data) ?? this.usage;
    let chunk: Chunk | null;
    try {
      chunk = JSON.parse(data.toString()) as Chunk | null;
    } catch {
      this.error = 'the server sent an event that is not JSON';
      return [];
    }
    if (chunk?.error) this.error = typeof chunk.error === 'string' ? chunk.error : (chunk.error.message ?? 'no reason');
    const choice = chunk?.choices?.[0];
    this.finishReason = choice?.finish_reason ?? this.finishReason;
    const delta = choice?.delta;
    const thought = delta?.reasoning_content || delta?.reasoning;
    return [
      ...(typeof thought === 'string' && thought !== '' ? [{ kind: 'reasoning' as const, text: thought }] : []),
      ...(typeof delta?.content === 'string' && delta.content !== ''
        ? [{ kind: 'text' as const, text: delta.content }]
        : []),
    ];
  }
}

/** The parts of a chunk that are read. vLLM names thoughts `reasoning` or, before 0.12, `reasoning_content`. */
interface Chunk {
  choices?: {
    delta?: { content?: string | null; reasoning?: string | null; reasoning_content?: string | null };
    finish_reason?: string | null;
  }[];
  error?: string | { message?: string };
}
