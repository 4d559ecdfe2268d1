import { readDeployment } from '../deployment/local-view.ts';
import type { ProcessSpec } from '../plan/launch-plan.ts';
import { renderChat } from '../tokens/chat-template.ts';
import { encodeText } from '../tokens/mock-tokenizer.ts';
import { askPromptTokens, type PromptTokens } from './ask-prompt-tokens.ts';
import { TOKEN_PROMPTS, type TokenPrompt } from './token-prompts.ts';

/** What `doctor tokens` found out. */
export interface TokenReport {
  cases: TokenCase[];
  /** What could not be compared, and why. */
  notes: string[];
}

export interface TokenCase {
  model: string;
  /** Of the prompt. */
  name: string;
  /** Null when there is nothing to compare with. */
  agree: boolean | null;
  detail: string;
  sides: TokenSide[];
}

/** A worker, or the frontend where it makes tokens itself. */
export interface TokenSide extends PromptTokens {
  who: string;
}

/**
 * Sends prompts that tokenizers and templates are known to treat differently to every worker of a deployment, as real completions of
 * one token, and compares the tokens they made: ids where engines tell them, else their number. For the simulated engine the
 * frontend's own tokens are compared too; for others the frontend makes none.
 */
export async function checkTokens(deployment: string, signal: AbortSignal): Promise<TokenReport> {
  const { plan } = readDeployment(deployment);
  const cases: TokenCase[] = [];
  const notes = new Set<string>();
  for (const model of plan.models) {
    const workers = plan.processes.filter((spec) => spec.model === model);
    for (const prompt of TOKEN_PROMPTS) {
      const asked = await Promise.all(workers.map((worker) => askWorker(worker, prompt, signal)));
      cases.push(judgeTokens(model, prompt.name, [...ownTokens(workers, prompt), ...asked]));
    }
    if (workers.some(({ engine }) => engine !== 'mocker'))
      notes.add(
        `${model}: the frontend makes no tokens of this engine's prompts; they are compared between workers only`,
      );
    if (/gpt-oss/i.test(model))
      notes.add(`${model}: harmony prompts are rendered by the engine; its render endpoint gives their tokens`);
  }
  return { cases, notes: [...notes] };
}

async function askWorker(worker: ProcessSpec, prompt: TokenPrompt, signal: AbortSignal): Promise<TokenSide> {
  return { who: worker.name, ...(await askPromptTokens(worker, prompt, signal)) };
}

/** As the frontend makes them for routing. */
function ownTokens(workers: readonly ProcessSpec[], { messages }: TokenPrompt): TokenSide[] {
  if (!workers.every(({ engine }) => engine === 'mocker')) return [];
  const ids = [...encodeText(renderChat(messages))];
  return [{ who: 'frontend', promptTokens: ids.length, ids, error: null }];
}

/** Whether all sides that answered made the same tokens. Pure. */
export function judgeTokens(model: string, name: string, sides: TokenSide[]): TokenCase {
  const answered = sides.filter(({ error }) => error === null);
  const counts = new Set(answered.map(({ promptTokens }) => promptTokens));
  const lists = new Set(answered.flatMap(({ ids }) => (ids === null ? [] : [ids.join()])));
  const common = { model, name, sides };
  if (answered.length < sides.length && answered.length === 0)
    return { ...common, agree: false, detail: 'nobody answered' };
  if (counts.size > 1)
    return { ...common, agree: false, detail: `numbers of tokens differ: ${[...counts].join(', ')}` };
  if (lists.size > 1) return { ...common, agree: false, detail: 'as many tokens, but other ones' };
  const refused = sides.length - answered.length;
  if (refused > 0) return { ...common, agree: false, detail: `${refused} of ${sides.length} sides did not answer` };
  if (sides.length < 2) return { ...common, agree: null, detail: 'one worker: nothing to compare with' };
  const compared = answered.every(({ ids }) => ids !== null) ? 'the same ids' : 'as many';
  return {
    ...common,
    agree: true,
    detail: `${answered[0]!.promptTokens} tokens, ${compared} on ${sides.length} sides`,
  };
}
