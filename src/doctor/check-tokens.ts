import { isGptOss } from '../engines/model-family.ts';
import type { ProcessSpec } from '../plan/launch-plan.ts';
import { renderChat } from '../tokens/chat-template.ts';
import { encodeText } from '../tokens/mock-tokenizer.ts';
import { askPromptTokens, askRendering, type PromptTokens, questions } from './ask-prompt-tokens.ts';
import { liveProcesses } from './live-processes.ts';
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

/** A worker, its render endpoint, or the frontend where it makes tokens itself. */
export interface TokenSide extends PromptTokens {
  who: string;
}

/**
 * Sends prompts that tokenizers and templates are known to treat differently to every worker of a deployment, as real completions of
 * one token, and compares the tokens they made: ids where engines tell them, else their number. A render endpoint is a side of its
 * own where the worker offers one: routers that ask it must get what the engine then computes. For the simulated engine the
 * frontend's own tokens are compared too; for others the frontend makes none.
 */
export async function checkTokens(deployment: string, signal: AbortSignal): Promise<TokenReport> {
  const { record, processes } = await liveProcesses(deployment);
  const cases: TokenCase[] = [];
  const notes: string[] = [];
  for (const model of record.plan.models) {
    const workers = processes.filter((spec) => spec.model === model && isLeader(spec));
    for (const prompt of TOKEN_PROMPTS) {
      const asked = await Promise.all(workers.map((worker) => askWorker(worker, prompt, signal)));
      cases.push(judgeTokens(model, prompt.name, [...ownTokens(workers, prompt), ...asked.flat()]));
    }
    notes.push(...notesOf(model, workers, cases));
  }
  return { cases, notes };
}

/** Of a worker over several hosts only the leader answers. */
const isLeader = ({ group }: ProcessSpec): boolean => group?.leader !== false;

async function askWorker(worker: ProcessSpec, prompt: TokenPrompt, signal: AbortSignal): Promise<TokenSide[]> {
  const [completed, rendered] = await Promise.all([
    askPromptTokens(worker, prompt, signal),
    askRendering(worker, prompt, signal),
  ]);
  const side = { who: worker.name, ...completed };
  return rendered === null ? [side] : [side, { who: renderingOf(worker), ...rendered }];
}

const renderingOf = ({ name }: ProcessSpec): string => `${name} (render)`;

/** As the frontend makes them for routing. */
function ownTokens(workers: readonly ProcessSpec[], { messages }: TokenPrompt): TokenSide[] {
  if (!workers.every(({ engine }) => engine === 'mocker')) return [];
  const ids = [...encodeText(renderChat(messages))];
  return [{ who: 'frontend', promptTokens: ids.length, ids, status: null, error: null }];
}

function notesOf(model: string, workers: readonly ProcessSpec[], cases: readonly TokenCase[]): string[] {
  const sides = cases.filter((one) => one.model === model).flatMap((one) => one.sides);
  const notes: string[] = [];
  if (workers.some(({ engine }) => engine !== 'mocker'))
    notes.push(`${model}: the frontend makes no tokens of this engine's prompts; it routes by their text`);
  // Whoever makes tokens of harmony prompts elsewhere needs the engine's own rendering; and one worker has nothing else beside it.
  if (!isGptOss(model) && workers.length > 1) return notes;
  const silent = workers.filter((worker) => {
    const { render } = questions(worker);
    return render !== null && !sides.some(({ who }) => who === renderingOf(worker));
  });
  const opening = silent[0] && questions(silent[0]).render?.opening;
  if (opening !== undefined)
    notes.push(
      `${model}: the render endpoint of ${silent.map(({ name }) => name).join(', ')} was not compared: ${opening}`,
    );
  return notes;
}

/** Whether all sides that answered made the same tokens. Pure. */
export function judgeTokens(model: string, name: string, sides: TokenSide[]): TokenCase {
  const answered = sides.filter(({ error }) => error === null);
  const counts = new Set(answered.map(({ promptTokens }) => promptTokens));
  const lists = new Set(answered.flatMap(({ ids }) => (ids === null ? [] : [ids.join()])));
  const common = { model, name, sides };
  if (answered.length === 0 && sides.length > 0) {
    const refused = sides.every(({ status }) => status !== null && status >= 400 && status < 500);
    return refused
      ? { ...common, agree: null, detail: `no worker takes it: ${sides[0]!.error}` }
      : { ...common, agree: false, detail: 'nobody answered' };
  }
  if (counts.size > 1)
    return { ...common, agree: false, detail: `numbers of tokens differ: ${[...counts].join(', ')}` };
  if (lists.size > 1)
    return {
      ...common,
      agree: false,
      detail: `as many tokens, but other ones from token ${firstDifference(answered)} on`,
    };
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

/** Counted from 1. */
function firstDifference(sides: readonly TokenSide[]): number {
  const [first, ...others] = sides.flatMap(({ ids }) => (ids === null ? [] : [ids]));
  return 1 + first!.findIndex((id, index) => others.some((ids) => ids[index] !== id));
}
