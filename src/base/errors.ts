/**
 * Every error a user can meet: one class, one table. `docs/errors.md` is tested against the table in both directions.
 * Anything thrown that is not a `DynamoError` is a bug in dynamo and ends with exit status 1 and a stack.
 */

interface ErrorEntry {
  /** Exit status of a command that ends with this error. */
  exit: number;
  /** HTTP status where the error reaches an API client. */
  http?: number;
  /** What the user can do about it, when the thrower has nothing more precise to say. */
  hint: string;
}

export const ERRORS = {
  USAGE: { exit: 2, hint: 'Run the command with --help.' },

  RECIPE_NOT_FOUND: { exit: 3, hint: '`dynamo recipe list` names the recipes that come with dynamo.' },
  RECIPE_INVALID: { exit: 3, hint: '`dynamo recipe schema` and docs/recipe.md list every key.' },
  RECIPE_CHANGED: {
    exit: 3,
    hint: 'Pass --rolling to replace what changed one process at a time, --replace to stop what runs first, or use another --name.',
  },
  HOSTS_INVALID: { exit: 3, hint: 'docs/hosts.md lists every key of a hosts file.' },
  TRACE_INVALID: {
    exit: 3,
    hint: 'A trace has one JSON object a line: timestamp, input_length, output_length, hash_ids.',
  },

  COMMAND_NOT_FOUND: { exit: 4, hint: 'Install the engine, or give its full path with `command:` in the recipe.' },
  DEPLOYMENT_BUSY: {
    exit: 4,
    hint: 'Another command is working on this deployment; try again, or use another --name.',
  },
  DISCOVERY_NOT_SHARED: {
    exit: 4,
    hint: 'Set `discovery.backend: etcd` (with `managed: true` dynamo runs it), or `discovery.root` to a folder that all hosts share.',
  },
  DISK_FULL: { exit: 4, hint: 'Free some space, or set DYNAMO_HOME to a folder on another disk.' },
  GPU_UNAVAILABLE: {
    exit: 4,
    hint: 'Lower `gpus` or `replicas`, or name the machines that have them (--hosts hosts.yaml; --facts file.json to plan only).',
  },
  HOST_UNREACHABLE: { exit: 4, hint: 'Check the name and the network, then try again.' },
  NOT_FREE: { exit: 4, hint: 'Wait longer, or plan for other hosts. Nothing was reserved and nothing runs.' },
  PORT_IN_USE: { exit: 4, hint: 'Stop the holder, choose another port, or set it to `auto`.' },
  SECRET_MISSING: { exit: 4, hint: 'Set the variable the recipe names before starting.' },
  STATE_UNREADABLE: { exit: 4, hint: 'Check the permissions of the state folder (DYNAMO_HOME).' },
  STATE_VERSION: { exit: 4, hint: 'Use the dynamo version that wrote it, or stop the deployment with that one first.' },

  EXITED_EARLY: { exit: 5, hint: '`dynamo logs` shows everything the process printed.' },
  KV_PATH_FAILED: { exit: 5, hint: 'Check that both workers reach each other and run the same engine version.' },
  NOT_READY: { exit: 5, hint: 'Raise `startTimeout` if the process was still making progress.' },
  START_LOST: { exit: 5, hint: 'The start was undone; run the same command again.' },
  START_STOPPED: { exit: 5, hint: 'The start was cancelled and undone.' },

  CONTROLLER_LOST: { exit: 6, hint: 'Serving goes on unattended; run the same `dynamo serve` again to adopt it.' },
  LEASE_LOST: {
    exit: 6,
    hint: 'The discovery store dropped a registration; events.jsonl of the deployment says whose.',
  },
  PROCESS_FAILED: { exit: 6, hint: '`dynamo status` shows the crash report, `dynamo logs` the output.' },
  STOP_INCOMPLETE: { exit: 6, hint: 'Run `dynamo stop` again; the message names what is left.' },
  SUPERSEDED: { exit: 6, hint: 'A newer controller has taken over this deployment.' },

  CONNECT_FAILED: { exit: 7, http: 502, hint: 'Check the address, and that the server is up.' },
  DISCOVERY_UNREACHABLE: { exit: 7, hint: 'Check the discovery store and its permissions.' },
  NO_DEPLOYMENT: { exit: 7, hint: '`dynamo ls` names the deployments on this machine.' },

  CHECK_FAILED: { exit: 8, hint: 'The report names each failed check.' },
  GOAL_MISSED: { exit: 8, hint: 'Lower the load, or relax the goal.' },

  INVALID_REQUEST: { exit: 1, http: 400, hint: 'The request does not fit the OpenAI API.' },
  MODEL_NOT_FOUND: { exit: 1, http: 404, hint: 'GET /v1/models lists the models served here.' },
  REQUEST_TOO_LARGE: { exit: 1, http: 413, hint: 'Send a smaller body, or raise `--body-limit-mb` of the frontend.' },
  SATURATED: { exit: 1, http: 529, hint: 'All workers are busy; retry later.' },
  UPSTREAM_ERROR: { exit: 1, http: 502, hint: 'The worker failed; the frontend log says how.' },
  UPSTREAM_TIMEOUT: { exit: 1, http: 504, hint: 'The worker did not answer in time.' },
  NO_INSTANCES: { exit: 1, http: 503, hint: 'No worker can take this request now.' },
  SHUTTING_DOWN: { exit: 1, http: 503, hint: 'This frontend is draining; use another, or retry.' },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERRORS;

/** Exit status of a second signal while stopping. */
export const EXIT_FORCED = 130;

/** A port that a process was to listen on and somebody else has. */
export interface TakenPort {
  /** Name of the process. */
  process: string;
  /** What it is for: `http`, `sideChannel`. */
  purpose: string;
  port: number;
}

/** An error the user can act on. `message` says what failed and why; `hint` says what to do next. */
export class DynamoError extends Error {
  readonly code: ErrorCode;
  readonly hint: string;
  /** Lines shown under the message: last output of a process, one recipe problem a line. */
  readonly details: readonly string[];
  /** What a `PORT_IN_USE` is about, as far as it is known. */
  readonly ports: readonly TakenPort[];

  constructor(
    code: ErrorCode,
    message: string,
    options: { hint?: string; cause?: unknown; details?: readonly string[]; ports?: readonly TakenPort[] } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = 'DynamoError';
    this.code = code;
    this.hint = options.hint ?? ERRORS[code].hint;
    this.details = options.details ?? [];
    this.ports = options.ports ?? [];
  }

  get exitStatus(): number {
    return ERRORS[this.code].exit;
  }

  get httpStatus(): number {
    const entry: ErrorEntry = ERRORS[this.code];
    return entry.http ?? 500;
  }

  /** The shape that crosses a socket or is printed by `--json`. */
  toJSON(): SerializedError {
    return {
      code: this.code,
      message: this.message,
      hint: this.hint,
      details: [...this.details],
      exit: this.exitStatus,
      ...(this.ports.length > 0 ? { ports: [...this.ports] } : {}),
    };
  }

  static from(json: SerializedError): DynamoError {
    const code = Object.hasOwn(ERRORS, json.code) ? (json.code as ErrorCode) : 'PROCESS_FAILED';
    return new DynamoError(code, json.message, {
      hint: json.hint,
      details: json.details,
      ports: json.ports ?? [],
    });
  }
}

export interface SerializedError {
  code: string;
  message: string;
  hint: string;
  details: string[];
  exit: number;
  /** Absent: none. */
  ports?: TakenPort[];
}

/** Turns whatever was thrown into a message fit for one line. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The `code` of a Node system error (`ENOENT`, `ECONNREFUSED`), if it has one. */
export function systemCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
