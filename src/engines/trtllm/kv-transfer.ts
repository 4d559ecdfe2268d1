import { editObject, findMember, firstElement, type JsonMember, objectMembers } from '../../openai/json-members.ts';
import { editLeg } from '../../openai/leg-fields.ts';
import type { TwoLegDialect } from '../kv-transfer-dialect.ts';
import { TRTLLM_FIELDS } from './kv-transfer-fields.ts';

/**
 * TensorRT-LLM's hand-over, context first: leg 1 answers with `disaggregated_params` (opaque state, 64-bit ids) and the prompt's token
 * ids, leg 2 gets both. Everything is carried as bytes; only the request type in the parameters is set anew.
 */
const PARAMS = 'disaggregated_params';

/** Finish reasons of leg 1 after which there is more to generate. */
const GOES_ON = new Set(['"length"', '"not_finished"']);

const OPEN_BRACE = 0x7b;
const OPEN_BRACKET = 0x5b;

export const TRTLLM_CONTEXT_FIRST: TwoLegDialect = {
  name: 'trtllm-context-first',
  fields: TRTLLM_FIELDS,
  // A worker has no role of its own: each request says what it is.
  decodeServesWhole: true,
  hasLease: false,
  prefillBody(body, drawId) {
    return editLeg(TRTLLM_FIELDS, 'prefill', body, [
      [PARAMS, `{"request_type":"context_only","disagg_request_id":${drawId()}}`],
    ]);
  },
  readPrefill(answer, kind) {
    const top = objectMembers(answer);
    const choice = top && firstChoice(answer, top);
    if (top === undefined || choice === undefined) return { kind: 'nothing' };
    const finish = textOf(answer, findMember(choice.members, 'finish_reason'));
    if (finish !== undefined && finish !== 'null' && !GOES_ON.has(finish)) {
      return { kind: 'complete', answer: withoutState(answer, top, choice) };
    }
    const params = findMember(choice.members, PARAMS);
    if (params === undefined || answer[params.valueStart] !== OPEN_BRACE) return { kind: 'nothing' };
    const members: [string, Buffer][] = [[PARAMS, generationParams(answer, top, params)]];
    const ids = findMember(top, 'prompt_token_ids');
    if (ids !== undefined && answer[ids.valueStart] === OPEN_BRACKET) {
      members.push([kind === 'chat' ? 'prompt_token_ids' : 'prompt', answer.subarray(ids.valueStart, ids.valueEnd)]);
    }
    return { kind: 'handed-over', members };
  },
  decodeBody: (body, handOver) => editLeg(TRTLLM_FIELDS, 'decode', body, handOver),
};

interface Choice {
  start: number;
  end: number;
  members: JsonMember[];
}

/** The first element of `choices`. */
function firstChoice(answer: Buffer, top: readonly JsonMember[]): Choice | undefined {
  const choices = findMember(top, 'choices');
  const span = choices && firstElement(answer, choices.valueStart, choices.valueEnd);
  const members = span && objectMembers(answer, span.start, span.end);
  return members && { ...span, members };
}

/** The parameters for leg 2. What else this version's own proxy sets is set only where its parameters have such a member. */
function generationParams(answer: Buffer, top: readonly JsonMember[], params: JsonMember): Buffer {
  const bytes = answer.subarray(params.valueStart, params.valueEnd);
  const add: [string, string | Buffer][] = [['request_type', '"generation_only"']];
  const usage = findMember(top, 'usage');
  const inner = objectMembers(bytes) ?? [];
  if (usage !== undefined && findMember(inner, 'ctx_usage')) {
    add.push(['ctx_usage', answer.subarray(usage.valueStart, usage.valueEnd)]);
  }
  return editObject(bytes, new Set(add.map(([key]) => key)), add) ?? bytes;
}

/** Leg 1's answer as one for the client. */
function withoutState(answer: Buffer, top: readonly JsonMember[], choice: Choice): Buffer {
  const clean = editObject(answer.subarray(choice.start, choice.end), new Set([PARAMS]), []);
  const choices = findMember(top, 'choices');
  if (clean === undefined || choices === undefined) return answer;
  const list = Buffer.concat([
    answer.subarray(choices.valueStart, choice.start),
    clean,
    answer.subarray(choice.end, choices.valueEnd),
  ]);
  return editObject(answer, new Set(['choices', 'prompt_token_ids']), [['choices', list]]) ?? answer;
}

function textOf(json: Buffer, member: JsonMember | undefined): string | undefined {
  return member && json.toString('utf8', member.valueStart, member.valueEnd);
}
