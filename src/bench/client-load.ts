import { type EventLoopUtilization, monitorEventLoopDelay, performance } from 'node:perf_hooks';

/** How busy the measuring process itself was. */
export interface ClientLoad {
  /** CPU seconds per second of wall time, of all threads: 1 is one core. */
  cpuCores: number;
  /** Share of time in which the event loop was busy, 0..1. Near 1 the client, not the server, sets the pace. */
  eventLoopUtilization: number;
  /** 99th percentile of the time a due timer had to wait, in milliseconds. */
  eventLoopDelayP99Ms: number;
  saturated: boolean;
}

/** Above this share the client's own queueing shows in the latencies. */
const SATURATED_UTILIZATION = 0.9;
const DELAY_RESOLUTION_MS = 10;

/** Watches this process from its construction to `stop`. */
export class ClientLoadWatch {
  readonly #cpu = process.cpuUsage();
  readonly #startMs = performance.now();
  readonly #utilization: EventLoopUtilization = performance.eventLoopUtilization();
  readonly #delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });

  constructor() {
    this.#delay.enable();
  }

  stop(): ClientLoad {
    this.#delay.disable();
    const { user, system } = process.cpuUsage(this.#cpu);
    const wallMs = performance.now() - this.#startMs;
    const { utilization } = performance.eventLoopUtilization(this.#utilization);
    return {
      cpuCores: (user + system) / 1_000 / wallMs,
      eventLoopUtilization: utilization,
      // The histogram holds the whole interval, in nanoseconds.
      eventLoopDelayP99Ms: Math.max(0, this.#delay.percentile(99) / 1e6 - DELAY_RESOLUTION_MS),
      saturated: utilization > SATURATED_UTILIZATION,
    };
  }
}
