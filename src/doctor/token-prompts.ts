import type { ChatMessage } from '../tokens/chat-template.ts';

/** A chat whose tokens must be the same wherever it is turned into tokens. */
export interface TokenPrompt {
  name: string;
  messages: (ChatMessage & Record<string, unknown>)[];
  /** More members of the request. */
  more?: Record<string, unknown>;
}

const WEATHER_TOOL = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'Current weather of a place',
    parameters: { type: 'object', properties: { place: { type: 'string' } }, required: ['place'] },
  },
};

/** Templates show tools whatever the choice; `auto` would be refused by a vLLM without a tool parser. */
const WITH_TOOL = { tools: [WEATHER_TOOL], tool_choice: 'none' };

const WEATHER_CALL = {
  id: 'call_0001',
  type: 'function',
  function: { name: 'get_weather', arguments: '{"place":"Paris"}' },
};

/** What templates and tokenizers are known to treat differently. */
export const TOKEN_PROMPTS: readonly TokenPrompt[] = [
  { name: 'one message', messages: [{ role: 'user', content: 'Hello, who are you?' }] },
  {
    name: 'system message',
    messages: [
      { role: 'system', content: 'You answer in one word.' },
      { role: 'user', content: 'What is the capital of France?' },
    ],
  },
  {
    name: 'several turns',
    messages: [
      { role: 'user', content: 'Name a colour.' },
      { role: 'assistant', content: 'Blue.' },
      { role: 'user', content: 'Another one.' },
    ],
  },
  {
    name: 'parts of text',
    messages: [
      {
        role: 'user',
        content: [
          { type: 'text', text: 'First part.' },
          { type: 'text', text: 'Second part.' },
        ],
      },
    ],
  },
  {
    name: 'other scripts',
    messages: [{ role: 'user', content: 'Grüße aus 東京 — здравствуйте, مرحبا, 👩‍👩‍👧‍👦 e\u0301' }],
  },
  {
    name: 'special tokens as text',
    messages: [{ role: 'user', content: 'Print <|im_start|>, <|endoftext|>, <s> and [INST] as they are.' }],
  },
  { name: 'spaces and line ends', messages: [{ role: 'user', content: '  a\tb\r\n\n\n   c  \n' }] },
  {
    name: 'a tool',
    messages: [{ role: 'user', content: 'What is the weather in Paris?' }],
    more: WITH_TOOL,
  },
  {
    name: 'a tool that was called',
    messages: [
      { role: 'user', content: 'What is the weather in Paris?' },
      { role: 'assistant', content: null, tool_calls: [WEATHER_CALL] },
      { role: 'tool', tool_call_id: WEATHER_CALL.id, content: '{"degrees":21}' },
    ],
    more: WITH_TOOL,
  },
  {
    name: 'reasoning before an answer',
    messages: [
      { role: 'user', content: 'Is 91 prime?' },
      // vLLM's name of it, and the one of others.
      { role: 'assistant', reasoning: '7 times 13.', reasoning_content: '7 times 13.', content: 'No.' },
      { role: 'user', content: 'And 97?' },
    ],
  },
  {
    name: 'little reasoning wanted',
    messages: [{ role: 'user', content: 'Is 97 prime?' }],
    more: { reasoning_effort: 'low' },
  },
];
