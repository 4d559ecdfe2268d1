import { type Logger, pino } from 'pino';

export type { Logger };

/**
 * Logger of a process that dynamo supervises: one JSON object a line on stderr, which the shim appends to the process's log file.
 * Level from `DYNAMO_LOG` (`error|warn|info|debug`), `info` by default.
 */
export function createLogger(fields: Record<string, unknown>): Logger {
  const level = process.env['DYNAMO_LOG'] ?? 'info';
  return pino(
    {
      level,
      base: fields,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ fd: 2, sync: true }),
  );
}
