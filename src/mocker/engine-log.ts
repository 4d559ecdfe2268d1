/** Where a worker says what it does. */
export interface EngineLog {
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

/** Lines on stderr in the form of vLLM's log, so that tools which read engine logs can be tried on them. */
export function createEngineLog(write: (line: string) => void = (line) => process.stderr.write(line)): EngineLog {
  const log = (level: string) => (message: string) => write(`${level} ${timestamp(new Date())} [mocker] ${message}\n`);
  return { info: log('INFO'), warn: log('WARNING'), error: log('ERROR') };
}

function timestamp(date: Date): string {
  const two = (value: number) => String(value).padStart(2, '0');
  return `${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}
