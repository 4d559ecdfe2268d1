import { type Logger, pino } from 'pino';

export type { Logger };

/** Lines kept while they cannot be written; what comes after is dropped. */
const KEPT_BYTES = 1024 * 1024;

/**
 * Logger of a process that dynamo supervises: one JSON object a line on stderr, which the shim appends to the process's log file.
 * Level from `DYNAMO_LOG` (`error|warn|info|debug`), `info` by default.
 */
export function createLogger(fields: Record<string, unknown>): Logger {
  const level = process.env['DYNAMO_LOG'] ?? 'info';
  const destination = pino.destination({ fd: 2, sync: true, maxLength: KEPT_BYTES });
  // A full disk or a closed terminal costs log lines; without a listener it would throw into whoever logs.
  destination.on('error', () => {});
  return pino(
    {
      level,
      base: fields,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
}
