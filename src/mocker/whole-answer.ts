import { Answer } from './answer.ts';
import type { Generation } from './generation.ts';
import { chatLogprob, textLogprobs } from './logprobs.ts';
import type { FinishReason } from './metrics.ts';
import { FINGERPRINT, usageJson } from './usage.ts';

interface Choice {
  text: string;
  finish: FinishReason;
}

/** One JSON body when everything is done. */
export class WholeAnswer extends Answer {
  readonly #choices: Choice[] = [];
  #sent = false;

  override add(generation: Generation): void {
    super.add(generation);
    this.#choices.push({ text: '', finish: 'length' });
  }

  onToken(generation: Generation, _token: number, text: string, finish: FinishReason | null): void {
    this.#choices[generation.options.choice]!.text += text;
    if (finish) this.onEnd(generation, finish);
  }

  onEnd(generation: Generation, finish: FinishReason): void {
    this.#choices[generation.options.choice]!.finish = finish;
    this.unfinished -= 1;
  }

  flush(): void {
    if (this.#sent || (this.unfinished > 0 && !this.failed)) return;
    this.#sent = true;
    const { response } = this.context;
    if (response.destroyed) return;
    const body = this.failed ? this.failureJson() : this.#body();
    response.writeHead(this.failed ? 500 : 200, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    });
    response.end(body);
  }

  #body(): string {
    const { id, created, model, request } = this.context;
    const chat = request.kind === 'chat';
    const choices = this.generations.map((generation) =>
      chat ? this.#chatChoice(generation) : this.#textChoice(generation),
    );
    const params = this.generations.length === 1 ? this.generations[0]!.kvTransferParams : undefined;
    const promptIds = chat && request.returnTokenIds ? `[${request.prompts[0]!.join(',')}]` : 'null';
    const head = `{"id":${JSON.stringify(id)},"object":"${chat ? 'chat.completion' : 'text_completion'}","created":${created},"model":${JSON.stringify(model)},"choices":[${choices.join(',')}]`;
    const prompt = chat ? `"prompt_logprobs":null,"prompt_token_ids":${promptIds},"prompt_text":null,` : '';
    const transfer = `"kv_transfer_params":${params ? JSON.stringify(params) : 'null'},"ec_transfer_params":null`;
    const tail = `"service_tier":null,"system_fingerprint":"${FINGERPRINT}","usage":${usageJson(this.generations, request)},${prompt}${transfer},"metrics":null}`;
    return `${head},${tail}`;
  }

  #chatChoice(generation: Generation): string {
    const { text, finish } = this.#choices[generation.options.choice]!;
    const { logprobs } = this.context.request;
    return JSON.stringify({
      index: generation.options.choice,
      message: {
        role: 'assistant',
        content: text,
        refusal: null,
        annotations: null,
        audio: null,
        function_call: null,
        reasoning: null,
      },
      logprobs:
        logprobs < 0 ? null : { content: generation.tokens.map((token, index) => chatLogprob(token, index, logprobs)) },
      finish_reason: finish,
      stop_reason: generation.stopReason,
      token_ids: this.context.request.returnTokenIds ? generation.tokens : null,
      routed_experts: null,
    });
  }

  #textChoice(generation: Generation): string {
    const { text, finish } = this.#choices[generation.options.choice]!;
    const { logprobs, returnTokenIds } = this.context.request;
    return JSON.stringify({
      index: generation.options.choice,
      text,
      logprobs: logprobs < 0 ? null : textLogprobs(generation.tokens, 0, 0, logprobs),
      finish_reason: finish,
      stop_reason: generation.stopReason,
      token_ids: returnTokenIds ? generation.tokens : null,
      prompt_logprobs: null,
      prompt_token_ids: returnTokenIds ? [...generation.options.prompt] : null,
      routed_experts: null,
    });
  }
}
