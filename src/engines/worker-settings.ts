/** Ports of workers are tried from here up: below every system's ephemeral range, away from the frontends' 8000. */
export const WORKER_PORT_FROM = 8_100;

/** vLLM's own default for NIXL's handshake; each data-parallel rank takes the next. */
export const SIDE_CHANNEL_FROM = 5_600;
export const SIDE_CHANNEL_HOST = 'VLLM_NIXL_SIDE_CHANNEL_HOST';
export const SIDE_CHANNEL_PORT = 'VLLM_NIXL_SIDE_CHANNEL_PORT';

/** vLLM closes idle connections after 5 s by default, which races with a frontend's pool. */
export const KEEP_ALIVE = 'VLLM_HTTP_TIMEOUT_KEEP_ALIVE';
export const KEEP_ALIVE_SECONDS = '75';
