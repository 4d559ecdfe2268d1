import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { DeploymentSnapshot } from '../../src/deployment/snapshot.ts';
import { processesWithEnv } from '../../src/supervise/identity.ts';
import { type CliResult, LongCommand, runCli } from './run-cli.ts';
import { tmpDir } from './tmp-dir.ts';
import { waitFor } from './until.ts';

/** A state folder of its own, the commands run in it, and the certainty that nothing outlives the test. */
export class Sandbox {
  readonly #tmp = tmpDir();
  readonly home = path.join(this.#tmp.dir, 'home');
  readonly env: NodeJS.ProcessEnv = { DYNAMO_HOME: this.home, DYNAMO_LOCK_DIR: this.#tmp.dir };

  file(name: string, text: string): string {
    const file = path.join(this.#tmp.dir, name);
    writeFileSync(file, text);
    return file;
  }

  run(...args: string[]): Promise<CliResult> {
    return runCli(args, this.env);
  }

  start(...args: string[]): LongCommand {
    return new LongCommand(args, this.env);
  }

  async status(name = 'quickstart'): Promise<DeploymentSnapshot> {
    const { stdout, stderr, code } = await this.run('status', name, '--json');
    if (code !== 0) throw new Error(`status ended with ${code}: ${stderr}`);
    return JSON.parse(stdout) as DeploymentSnapshot;
  }

  /** Waits until every process is ready; returns the snapshot. */
  ready(name = 'quickstart', deadlineMs = 60_000): Promise<DeploymentSnapshot> {
    return waitFor(
      `${name} to be ready`,
      async () => {
        const snapshot = await this.status(name).catch(() => undefined);
        return snapshot?.state === 'ready' && snapshot.processes.every((process) => process.pid !== null)
          ? snapshot
          : undefined;
      },
      deadlineMs,
    );
  }

  deploymentDir(name = 'quickstart'): string {
    return path.join(this.home, 'deployments', name);
  }

  events(name = 'quickstart'): { type: string; process: string | null; message: string }[] {
    const text = readFileSync(path.join(this.deploymentDir(name), 'events.jsonl'), 'utf8');
    // The last line may be half written.
    return text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as { type: string; process: string | null; message: string });
  }

  /** Everything that belongs to any deployment of this sandbox. */
  processes(): number[] {
    return processesWithEnv('DYNAMO_DEPLOYMENT_DIR', (dir) => dir.startsWith(`${this.home}/`));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Each time: a supervisor may have started one more before it was killed itself.
    await waitFor('the processes of the sandbox to be gone', () => {
      const pids = this.processes();
      for (const pid of pids) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // gone in the meantime
        }
      }
      return pids.length === 0;
    });
    rmSync(this.#tmp.dir, { recursive: true, force: true });
  }
}

/** Waits until the deployment is ready with another agent than `before`. */
export function successorOf(box: Sandbox, before: number, name?: string): Promise<DeploymentSnapshot> {
  return waitFor('a new agent', async () => {
    const snapshot = await box.ready(name);
    const pid = snapshot.agents[0]?.pid ?? null;
    return pid !== null && pid !== before && snapshot;
  });
}

/** Agent and controller pids of a snapshot. */
export function supervisors(snapshot: DeploymentSnapshot): { controller: number; agent: number } {
  return { controller: snapshot.controller!.pid, agent: snapshot.agents[0]!.pid! };
}

/** One completion through the frontend; throws unless it is answered with text. */
export async function ask(
  endpoint: string,
  model = 'mock-model',
  maxTokens = 8,
  signal: AbortSignal | null = null,
): Promise<string> {
  const response = await fetch(`${endpoint}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello' }], max_tokens: maxTokens }),
    signal,
  });
  const body = await response.text();
  if (response.status !== 200) throw new Error(`${response.status}: ${body}`);
  const { choices } = JSON.parse(body) as { choices: { message: { content: string } }[] };
  if (!choices[0]?.message.content) throw new Error(`no text in ${body}`);
  return choices[0].message.content;
}
