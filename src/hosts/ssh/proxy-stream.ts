import { type ChildProcess, spawn } from 'node:child_process';
import { Duplex } from 'node:stream';
import { DynamoError } from '../../base/errors.ts';
import type { SshHop } from './ssh-target.ts';

/** From the end of the connection to SIGKILL. */
const KILL_AFTER_MS = 2_000;
const STDERR_LINES = 5;
const STDERR_BYTES = 8_192;

/**
 * Standard input and output of a ProxyCommand, as a connection. The command runs by the user's shell in a process group of its own, which ends
 * with the connection; what it says on standard error is in the error when it fails.
 */
export class ProxyStream extends Duplex {
  readonly #child: ChildProcess;
  readonly #hop: SshHop;
  readonly #command: string;
  #stderr = '';
  #ended = false;

  constructor(hop: SshHop, command: string, env: NodeJS.ProcessEnv = process.env) {
    super({ allowHalfOpen: true });
    this.#hop = hop;
    this.#command = command;
    // As OpenSSH runs it. Detached: a signal to its group ends whatever it has started, and Ctrl-C is for us.
    this.#child = spawn(env['SHELL'] || '/bin/sh', ['-c', `exec ${command}`], {
      ...{ stdio: ['pipe', 'pipe', 'pipe'], detached: true, env },
    });
    const { stdin, stdout, stderr } = this.#child;
    stdout?.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) stdout.pause();
    });
    stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_BYTES);
    });
    stdin?.on('error', () => {}); // its end says more
    this.#child.once('error', (error) => this.destroy(this.#explain(`cannot be run: ${error.message}`, error)));
    this.#child.once('close', (code, signal) => {
      this.#ended = true;
      // Whoever ended the connection is not told that its command has ended.
      if (this.destroyed) return;
      // Only now: its status says more than the end of what it printed.
      if (code === 0) this.push(null);
      else this.destroy(this.#explain(`ended with ${code === null ? signal : `status ${code}`}`));
    });
  }

  override _read(): void {
    this.#child.stdout?.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    // An error means that it no longer reads: how it ended, which comes next, says why.
    this.#child.stdin!.write(chunk, () => done());
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#child.stdin?.end();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#child.stdin?.destroy();
    this.#signal('SIGTERM');
    const later = setTimeout(() => this.#signal('SIGKILL'), KILL_AFTER_MS);
    later.unref();
    this.#child.once('close', () => clearTimeout(later));
    done(error);
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.#ended || this.#child.pid === undefined) return;
    try {
      process.kill(-this.#child.pid, signal);
    } catch {
      // gone already
    }
  }

  #explain(what: string, cause?: Error): DynamoError {
    const details = this.#stderr
      .split('\n')
      .map((line) => line.trim())
      .filter(Boolean);
    return new DynamoError('HOST_UNREACHABLE', `${this.#hop.name}: its ProxyCommand ${what}`, {
      hint: `Try it by hand; it should print the greeting of an SSH server: ${this.#command}`,
      details: details.slice(-STDERR_LINES),
      cause,
    });
  }
}
