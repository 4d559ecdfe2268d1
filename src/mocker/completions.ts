import { randomBytes, randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Answer, AnswerContext } from './answer.ts';
import { type CompletionRequest, parseCompletionRequest } from './completion-request.ts';
import { findFault } from './faults.ts';
import { Generation } from './generation.ts';
import { readJsonBody } from './json-body.ts';
import { type KvDirection, readKvTransferParams } from './kv-transfer-params.ts';
import { StreamedAnswer } from './streamed-answer.ts';
import { WholeAnswer } from './whole-answer.ts';
import type { Worker } from './worker.ts';

/** Answers `/v1/chat/completions` and `/v1/completions`. Resolves once everything is under way. */
export async function handleCompletion(
  kind: 'chat' | 'text',
  worker: Worker,
  incoming: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { options, load } = worker;
  load.arrived += 1;
  if (load.arrived === findFault(options.faults, 'crash-on-request')?.request) {
    process.kill(process.pid, 'SIGKILL');
  }
  const body = await readJsonBody(incoming);
  const direction = readDirection(worker, body);
  const request = parseOrRelease(worker, kind, body, direction);
  const id = requestId(incoming);
  const context: AnswerContext = {
    response,
    request,
    id: `${kind === 'chat' ? 'chatcmpl' : 'cmpl'}-${id}`,
    model: options.modelName,
    created: Math.floor(Date.now() / 1_000),
  };
  const answer = request.stream ? new StreamedAnswer(context) : new WholeAnswer(context);
  start(worker, request, direction, answer);
}

function start(worker: Worker, request: CompletionRequest, direction: KvDirection, answer: Answer): void {
  const { options, engine, load } = worker;
  for (const [promptIndex, prompt] of request.prompts.entries()) {
    for (let sample = 0; sample < request.n; sample += 1) {
      const generation = new Generation({
        requestId: internalId(answer.context.id, request, promptIndex),
        prompt,
        maxTokens: request.maxTokens[promptIndex]!,
        minTokens: request.minTokens,
        stop: request.stop,
        stopTokenIds: request.stopTokenIds,
        seed: (options.seed + request.seed + sample) | 0,
        blockSize: options.blockSize,
        direction,
        choice: promptIndex * request.n + sample,
        listener: answer,
      });
      answer.add(generation);
    }
  }
  load.active += 1;
  answer.context.response.once('close', () => {
    load.active -= 1;
    // All have ended, unless the client went away before.
    for (const generation of answer.generations) engine.abandon(generation);
  });
  for (const generation of answer.generations) engine.submit(generation);
}

function readDirection({ options, log }: Worker, body: unknown): KvDirection {
  if (options.disaggregationMode === 'agg') return { kind: 'none' };
  const direction = readKvTransferParams(body);
  if (direction.kind === 'invalid') {
    log.warn('Got invalid KVTransferParams. This request will not utilize KVTransfer');
  }
  return direction;
}

/** A leg 2 that is refused leaves blocks behind that nobody will read: their holder is told. */
function parseOrRelease(
  worker: Worker,
  kind: 'chat' | 'text',
  body: unknown,
  direction: KvDirection,
): CompletionRequest {
  try {
    return parseCompletionRequest(kind, body, worker.options);
  } catch (error) {
    if (direction.kind === 'consume') worker.releaseRemote(direction.remote);
    throw error;
  }
}

/** The caller's id of a request, or one of ours. */
export function requestId(incoming: IncomingMessage): string {
  const given = incoming.headers['x-request-id'];
  return typeof given === 'string' && given !== '' ? given : randomUUID().replaceAll('-', '');
}

/** vLLM's id of one sequence inside the engine. */
function internalId(id: string, request: CompletionRequest, promptIndex: number): string {
  const suffix = randomBytes(4).toString('hex');
  return request.kind === 'chat' ? `${id}-${suffix}` : `${id}-${promptIndex}-${suffix}`;
}
