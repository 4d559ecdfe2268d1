import { DynamoError, EXIT_FORCED, type SerializedError } from '../base/errors.ts';
import type { ControllerPeer } from '../deployment/controller-client.ts';
import { readRecord } from '../deployment/record.ts';
import type { DeploymentSnapshot } from '../deployment/snapshot.ts';
import { type StartOutcome, startDeployment } from '../deployment/start-deployment.ts';
import { deploymentPaths } from '../deployment/state-dir.ts';
import { portHolder } from '../hosts/port-holder.ts';
import { refuseHeldPorts } from '../plan/held-ports.ts';
import type { LaunchPlan } from '../plan/launch-plan.ts';
import { planHash } from '../plan/plan-hash.ts';
import type { EventRecord, StartRequest } from '../supervise/protocol.ts';
import { formatPlan, type PreparedLaunch, prepareLaunch } from './plan-recipe.ts';
import type { ServeFlags } from './serve.ts';
import { readyLines, SnapshotLines } from './start-lines.ts';

/** Ports chosen by dynamo that were taken between plan and start: plan anew this often. */
const PORT_RETRIES = 3;

/** `dynamo serve`: plans, makes sure a controller attends the deployment, shows what it does, and stops it on the first signal. */
export async function runServe(recipe: string, flags: ServeFlags): Promise<void> {
  const began = performance.now();
  const takenPorts: number[] = [];
  if (flags.facts !== undefined && !flags.dryRun) {
    throw new DynamoError('USAGE', '--facts describes another machine: nothing can be started there', {
      hint: 'Add --dry-run, or use dynamo plan.',
    });
  }
  for (let tries = 1; ; tries += 1) {
    const prepared = await prepareLaunch({ recipe, ...flags, takenPorts, env: process.env, cwd: process.cwd() });
    if (flags.dryRun) {
      process.stdout.write(formatPlan(prepared, flags.json === true));
      return;
    }
    const session = new ServeSession(prepared, flags, began);
    try {
      await session.run();
      return;
    } catch (error) {
      if (!isLostPort(error, prepared.plan) || tries > PORT_RETRIES) throw error;
      session.say('a port was taken between plan and start; planning with others');
      takenPorts.push(...prepared.plan.processes.flatMap((spec) => Object.values(spec.ports)));
    }
  }
}

/** Only ports that dynamo chose may be chosen anew. */
function isLostPort(error: unknown, plan: LaunchPlan): boolean {
  if (!(error instanceof DynamoError) || error.code !== 'PORT_IN_USE') return false;
  const fixed = plan.processes.flatMap((spec) => spec.fixedPorts.map((purpose) => String(spec.ports[purpose])));
  return !fixed.some((port) => new RegExp(`\\b${port}\\b`).test(error.message));
}

class ServeSession {
  readonly #prepared: PreparedLaunch;
  readonly #flags: ServeFlags;
  readonly #began: number;
  readonly #lines = new SnapshotLines();
  #latest: DeploymentSnapshot | undefined;
  #wake: () => void = () => {};
  #announced = false;

  constructor(prepared: PreparedLaunch, flags: ServeFlags, began: number) {
    this.#prepared = prepared;
    this.#flags = flags;
    this.#began = began;
  }

  async run(): Promise<void> {
    const { plan, loaded, dir } = this.#prepared;
    this.say(`${plan.deployment}: ${plan.processes.length} processes on ${plan.hosts.join(', ')}, from ${loaded.file}`);
    for (const warning of plan.warnings) this.say(`warning: ${warning}`);
    const outcome = await startDeployment({
      request: this.#request(),
      replace: this.#flags.replace ?? false,
      prepare: (peer) => this.#listen(peer),
      preflight: () => refuseHeldPorts(plan, this.#prepared.facts.listeningPorts, portHolder),
      onNote: (text) => this.say(text),
    });
    if (outcome.how !== 'started')
      this.say(`${plan.deployment} runs already: ${outcome.how} (controller pid ${outcome.hello.pid})`);
    this.#show(outcome.hello.snapshot);
    try {
      await this.#attend(outcome, dir);
    } finally {
      outcome.peer.close();
    }
  }

  say(text: string): void {
    if (this.#flags.json) process.stderr.write(`${text}\n`);
    else process.stdout.write(`${text}\n`);
  }

  #request(): StartRequest {
    const { plan, loaded, dir, recipeHash, recipeText } = this.#prepared;
    return {
      deployment: plan.deployment,
      dir,
      recipeFile: loaded.file,
      recipeHash,
      recipeText,
      planHash: planHash(plan),
      plan,
      ephemeral: this.#flags.ephemeral ?? false,
    };
  }

  #listen(peer: ControllerPeer): void {
    peer.on('snapshot', (snapshot) => this.#show(snapshot));
    peer.on('event', (event) => this.#event(event));
  }

  #show(snapshot: DeploymentSnapshot): void {
    this.#latest = snapshot;
    if (this.#flags.json) process.stdout.write(`${JSON.stringify({ type: 'snapshot', snapshot })}\n`);
    else
      for (const line of this.#lines.next(snapshot, performance.now() - this.#began)) process.stdout.write(`${line}\n`);
    this.#wake();
  }

  #event(event: EventRecord): void {
    if (this.#flags.json) process.stdout.write(`${JSON.stringify({ type: 'event', event })}\n`);
    else if (this.#announced && event.type !== 'state' && event.type !== 'published')
      process.stdout.write(`${event.process ? `${event.process}: ` : ''}${event.message}\n`);
  }

  /** Until the deployment has ended, a signal has stopped it, or (detached) it is ready. */
  async #attend(outcome: StartOutcome, dir: string): Promise<void> {
    const { peer, how } = outcome;
    const signals = new SignalCount();
    let closed = false;
    void peer.closed.then(() => {
      closed = true;
      this.#wake();
    });
    signals.onSignal = () => this.#wake();
    try {
      for (;;) {
        if (signals.detached) return;
        if (signals.count > 0) return await this.#stop(peer, signals);
        const { state } = this.#latest!;
        if (state === 'failed' && this.#latest!.error) throw DynamoError.from(this.#latest!.error);
        if (closed) return this.#afterClose(dir);
        if ((state === 'ready' || (state === 'degraded' && how !== 'started')) && !this.#announced) {
          this.#announce(how);
          if (this.#flags.detach) return;
        }
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      signals.close();
    }
  }

  #announce(how: StartOutcome['how']): void {
    this.#announced = true;
    const snapshot = this.#latest!;
    const tookMs = performance.now() - this.#began;
    if (this.#flags.json) {
      process.stdout.write(
        `${JSON.stringify({ type: 'ready', endpoint: snapshot.endpoint, models: snapshot.models, tookMs: Math.round(tookMs) })}\n`,
      );
      return;
    }
    for (const line of readyLines(snapshot, how === 'started' ? tookMs : null)) this.say(line);
    const { name } = snapshot;
    this.say(
      this.#flags.detach
        ? `It goes on running. Look: dynamo status ${name}. Stop: dynamo stop ${name}`
        : `Ctrl-C stops everything. Logs: dynamo logs ${name} -f`,
    );
  }

  async #stop(peer: ControllerPeer, signals: SignalCount): Promise<void> {
    this.say(`\nstopping ${this.#prepared.plan.deployment}; press Ctrl-C again to force it`);
    const stopping = peer.request('stop', { force: false });
    stopping.catch(() => {});
    const forced = new Promise<'forced'>((resolve) => {
      signals.onSignal = () => resolve('forced');
    });
    if ((await Promise.race([stopping, forced])) === 'forced') {
      await peer.request('stop', { force: true }).catch(() => {});
      await stopping.catch(() => {});
      this.say('stopped by force');
      process.exitCode = EXIT_FORCED;
      return;
    }
    const { leftPids } = await stopping;
    if (leftPids.length > 0) throw new DynamoError('STOP_INCOMPLETE', `could not be ended: ${leftPids.join(', ')}`);
    this.say('stopped; nothing is left');
  }

  /** The controller went away. Its record says whether that was the end of the deployment. */
  #afterClose(dir: string): void {
    const record = readRecord(deploymentPaths(dir).record);
    if (record?.error) throw DynamoError.from(record.error as SerializedError);
    if (record?.phase === 'stopped') {
      this.say(`${record.name} was stopped`);
      return;
    }
    if (record?.phase === 'starting') {
      throw new DynamoError(
        'START_LOST',
        'the controller died during the start; the agents take it back by themselves',
      );
    }
    throw new DynamoError('CONTROLLER_LOST', 'the controller died; serving goes on unattended');
  }
}

/** First SIGINT or SIGTERM asks for a stop, the second forces it; a closed terminal or a broken pipe merely detaches. */
class SignalCount {
  count = 0;
  detached = false;
  onSignal: () => void = () => {};
  readonly #ended = new AbortController();

  constructor() {
    const stop = () => {
      this.count += 1;
      this.onSignal();
    };
    const detach = () => {
      this.detached = true;
      this.onSignal();
    };
    this.#on('SIGINT', stop);
    this.#on('SIGTERM', stop);
    this.#on('SIGHUP', detach);
  }

  #on(signal: NodeJS.Signals, listener: () => void): void {
    process.on(signal, listener);
    this.#ended.signal.addEventListener('abort', () => process.removeListener(signal, listener), { once: true });
  }

  close(): void {
    this.#ended.abort();
  }
}
