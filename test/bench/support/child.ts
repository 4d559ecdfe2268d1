import { type ChildProcess, spawn } from 'node:child_process';
import readline from 'node:readline';
import { fileURLToPath } from 'node:url';

/** A process of a scenario; ended when the scenario ends. */
export interface Child extends AsyncDisposable {
  pid: number;
  process: ChildProcess;
  /** Waits for a line on stdout that `read` makes something of. Rejects when the process ends or nothing fits in time. */
  line<T>(read: (line: string) => T | undefined, deadlineMs?: number): Promise<T>;
  /** What it wrote to stderr, for messages. */
  stderr(): string;
}

/** Runs a TypeScript file as a process of its own. */
export function startScript(file: URL, ...args: (string | number)[]): Child {
  return startChild(process.execPath, [fileURLToPath(file), ...args.map(String)]);
}

export function startChild(command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): Child {
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-4_000);
  });
  const lines: string[] = [];
  const readers = new Set<(line: string) => void>();
  readline.createInterface({ input: child.stdout }).on('line', (text) => {
    lines.push(text);
    for (const reader of readers) reader(text);
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const name = [command, ...args].join(' ').slice(-120);
  return {
    pid: child.pid ?? -1,
    process: child,
    stderr: () => errors,
    line: (read, deadlineMs = 60_000) =>
      new Promise((resolve, reject) => {
        const finish = (act: () => void): void => {
          readers.delete(reader);
          clearTimeout(timer);
          act();
        };
        const reader = (text: string): void => {
          const value = read(text);
          if (value !== undefined) finish(() => resolve(value));
        };
        const fail = (why: string): void => finish(() => reject(new Error(`${name}: ${why}\n${errors}`)));
        const timer = setTimeout(() => fail('nothing in time'), deadlineMs);
        readers.add(reader);
        for (const text of [...lines]) reader(text);
        void ended.then(() => fail('ended'));
        child.once('error', (error) => fail(error.message));
      }),
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
      await ended;
      clearTimeout(timer);
    },
  };
}
