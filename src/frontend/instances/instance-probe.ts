import type { Instance } from '../../discovery/discovery.ts';
import { parsePrometheusText } from '../../telemetry/prometheus-text.ts';
import type { Origin } from '../upstream/connection.ts';
import type { ConnectionPool, Exchange } from '../upstream/connection-pool.ts';
import { fetchWhole } from '../upstream/fetch-whole.ts';
import { patience } from '../upstream/patience.ts';

const PROBE_LIMIT_BYTES = 8 * 1024 * 1024;

/**
 * Asks an address whether it is still this very instance: it lists the model, and its process began when discovery says.
 * Returns why it is not, or undefined when it is. Never rejects.
 */
export async function probeInstance(
  pool: ConnectionPool,
  instance: Instance,
  origin: Origin,
  timeoutMs: number,
): Promise<string | undefined> {
  let current: Exchange | undefined;
  using _ = patience(timeoutMs, () => current?.abort());
  const get = async (path: string): Promise<string> => {
    const head = `GET ${path} HTTP/1.1\r\nhost: ${origin.authority}\r\n\r\n`;
    const response = await fetchWhole(pool, { origin, head, resendIfStale: true }, PROBE_LIMIT_BYTES, (exchange) => {
      current = exchange;
    });
    if (response.head.status !== 200) throw new Error(`${path} answered ${response.head.status}`);
    return response.body.toString('utf8');
  };
  try {
    if (!listsModel(JSON.parse(await get('/v1/models')), instance.model)) return 'it does not list the model';
    if (instance.processStart === null) return undefined;
    const samples = parsePrometheusText(await get('/metrics'));
    const started = samples.find((sample) => sample.name === 'process_start_time_seconds')?.value;
    return started === instance.processStart ? undefined : 'another process answers at its address';
  } catch (error) {
    return error instanceof SyntaxError
      ? 'its answer is not JSON'
      : error instanceof Error
        ? error.message
        : 'no answer';
  }
}

function listsModel(answer: unknown, model: string | null): boolean {
  if (typeof answer !== 'object' || answer === null || !('data' in answer) || !Array.isArray(answer.data)) return false;
  return answer.data.some(
    (entry: unknown) => typeof entry === 'object' && entry !== null && 'id' in entry && entry.id === model,
  );
}
