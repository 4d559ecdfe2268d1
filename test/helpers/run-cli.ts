import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { packageRoot } from '../../src/base/package-root.ts';
import { waitFor } from './until.ts';

const dynamo = path.join(packageRoot, 'bin', 'dynamo');

export interface CliResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs a command to its end. */
export async function runCli(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<CliResult> {
  const command = new LongCommand(args, env);
  const code = await command.exited;
  return { code, stdout: command.stdout, stderr: command.stderr };
}

/** A command that goes on: its output as it comes, signals, and its end. */
export class LongCommand {
  readonly child: ChildProcess;
  /** Exit status; null when a signal ended it. */
  readonly exited: Promise<number | null>;
  stdout = '';
  stderr = '';
  #ended = false;

  constructor(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    this.child = spawn(dynamo, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    // `setEncoding`: a chunk may end within a character.
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.exited = once(this.child, 'close').then(([code]) => {
      this.#ended = true;
      return code as number | null;
    });
  }

  /** Waits for a line in the output; fails with all output when the command ends first. */
  async readUntil(pattern: RegExp, deadlineMs = 60_000): Promise<RegExpExecArray> {
    const found = await waitFor(
      `${pattern} in the output`,
      () => {
        const match = pattern.exec(this.stdout + this.stderr);
        if (match) return { match };
        return this.#ended ? { match: null } : undefined;
      },
      deadlineMs,
    ).catch((error: Error) => {
      throw new Error(`${error.message}\n${this.stdout}\n${this.stderr}`);
    });
    if (!found.match) throw new Error(`ended without ${pattern}:\n${this.stdout}\n${this.stderr}`);
    return found.match;
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name);
  }
}
