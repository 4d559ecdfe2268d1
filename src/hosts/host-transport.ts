import type { Duplex } from 'node:stream';

/**
 * How a host is reached: this machine directly, others over SSH. Everything the controller does on a host goes through
 * these four verbs, so that one code path serves both.
 *
 * Errors: `HOST_UNREACHABLE` when the host cannot be spoken to (also when the link is lost meanwhile), `CONNECT_FAILED`
 * when nobody listens on a socket, `DISK_FULL` and `STATE_UNREADABLE` (with host and path) from `upload`.
 */
export interface HostTransport extends AsyncDisposable {
  /** Its name in the hosts file; `local` for this machine. */
  readonly host: string;
  readonly local: boolean;
  /**
   * Runs one command to its end. argv, environment and input travel on standard input, never in a command line that others
   * can read; what a login shell prints is not part of the answer. A command that fails is an answer, not an error.
   */
  exec(argv: readonly string[], options?: ExecOptions): Promise<ExecResult>;
  /** A stream to a Unix socket of that host. */
  connectSocket(path: string): Promise<Duplex>;
  /** Copies files of this machine; each appears whole or not at all. Missing folders are made. */
  upload(files: readonly UploadFile[], onProgress?: (doneBytes: number, totalBytes: number) => void): Promise<void>;
  /** Aborts when the link is lost, with the reason; never for this machine. */
  readonly lost: AbortSignal;
}

export interface ExecOptions {
  stdin?: string | Uint8Array;
  /** Added to the environment the host gives. */
  env?: Record<string, string>;
  /** Rejects with `HOST_UNREACHABLE` when the command has not ended by then. */
  timeoutMs?: number;
  signal?: AbortSignal;
}

export interface ExecResult {
  /** Null when a signal ended it. */
  code: number | null;
  signal: string | null;
  stdout: Buffer;
  stderr: string;
}

export interface UploadFile {
  from: string;
  to: string;
  mode: number;
}
