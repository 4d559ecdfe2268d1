import { DynamoError } from '../base/errors.ts';

export interface ChatFlags {
  url?: string;
  model?: string;
  system?: string;
  maxTokens?: string;
  temperature?: string;
  apiKeyEnv?: string;
  json?: boolean;
}

/** Words of the command line, told apart. */
export interface ChatWords {
  deployment: string | undefined;
  prompt: string[];
}

/**
 * The first word is a deployment when one of that name is known. With `--url` all words are the prompt, and so they are when the first
 * cannot name a deployment, as in `dynamo chat "How are you?"`. Anything else is more likely mistyped. Pure.
 */
export function splitChatWords(words: readonly string[], known: readonly string[], hasUrl: boolean): ChatWords {
  const [first, ...rest] = words;
  if (first === undefined || hasUrl) return { deployment: undefined, prompt: [...words] };
  if (known.includes(first)) return { deployment: first, prompt: rest };
  if (first === '-' || !/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/.test(first))
    return { deployment: undefined, prompt: [...words] };
  throw new DynamoError('NO_DEPLOYMENT', `there is no deployment called ${first}`, {
    hint:
      known.length === 0
        ? 'None has been started yet: dynamo serve recipes/quickstart.yaml'
        : `Known on this machine: ${known.join(', ')}. To ask the model "${first}", name one of them before it.`,
  });
}

/** `--max-tokens` and `--temperature` as numbers. Throws `USAGE`. */
export function readSampling(flags: ChatFlags): { maxTokens: number | undefined; temperature: number | undefined } {
  return {
    maxTokens: read(flags.maxTokens, '--max-tokens', 'a whole number, 1 or more', (n) => Number.isInteger(n) && n >= 1),
    temperature: read(flags.temperature, '--temperature', 'a number, 0 or more', (n) => n >= 0),
  };
}

function read(
  text: string | undefined,
  name: string,
  what: string,
  fits: (value: number) => boolean,
): number | undefined {
  if (text === undefined) return undefined;
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (Number.isFinite(value) && fits(value)) return value;
  throw new DynamoError('USAGE', `${name}: ${text} is not ${what}`);
}
