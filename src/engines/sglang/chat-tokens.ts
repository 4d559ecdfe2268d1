import type { ChatTokens } from '../chat-tokens.ts';

/** SGLang's fake peer: a prefill or decode server takes the request and skips the transfer. */
const FAKE_PEER = { bootstrap_host: '2.2.2.2', bootstrap_port: 8_998 };
const ROOMS = 2 ** 52;

/** It names no ids of prompts; a prefill or decode server answers alone when its peer is the fake one. */
export const SGLANG_CHAT_TOKENS: ChatTokens = {
  completionFields: (role, random) =>
    role === 'aggregated' ? {} : { ...FAKE_PEER, bootstrap_room: 1 + Math.floor(random() * ROOMS) },
  render: null,
};
