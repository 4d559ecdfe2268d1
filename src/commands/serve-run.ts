import { pause } from '../base/abort.ts';
import { DynamoError, EXIT_FORCED, messageOf, type SerializedError } from '../base/errors.ts';
import { type ControllerPeer, connectController } from '../deployment/controller-client.ts';
import { readRecord } from '../deployment/record.ts';
import type { DeploymentSnapshot } from '../deployment/snapshot.ts';
import { type StartOutcome, startDeployment, stopDeployment } from '../deployment/start-deployment.ts';
import { deploymentPaths } from '../deployment/state-dir.ts';
import { portHolder } from '../hosts/port-holder.ts';
import { refuseHeldPorts } from '../plan/held-ports.ts';
import { isLostPort } from '../plan/lost-port.ts';
import type { OpenScreen } from '../tui/open-screen.tsx';
import { bringSecrets } from './bring-secrets.ts';
import { loadScreen } from './load-screen.ts';
import { PORT_RETRIES, portsOf } from './lost-port.ts';
import { formatPlan, lookToLaunch, type PreparedLaunch, preparedOf } from './plan-recipe.ts';
import { previewRolling, rollRunning } from './roll-run.ts';
import type { ServeFlags } from './serve-flags.ts';
import { goesOn, JsonOutput, LineOutput, type ServeOutput } from './serve-output.ts';
import { SignalCount } from './serve-signals.ts';
import { freeWait } from './serve-wait.ts';
import { startRequest } from './start-request.ts';
import { thisTerminal, wantsScreen } from './wants-screen.ts';

/** Between looks for a controller, while none runs. */
const LOOK_MS = 500;
/** A controller that has just adopted a deployment asks its agents, and new agents ask the processes: for this long at most. */
const ADOPTION_MS = 5_000;

/** `dynamo serve`: plans, makes sure a controller attends the deployment, shows what it does, and stops it on the first signal. */
export async function runServe(recipe: string, flags: ServeFlags): Promise<void> {
  const began = performance.now();
  const takenPorts: number[] = [];
  if (flags.facts !== undefined && !flags.dryRun) {
    throw new DynamoError('USAGE', '--facts describes another machine: nothing can be started there', {
      hint: 'Add --dry-run, or use dynamo plan.',
    });
  }
  const wait = flags.dryRun ? undefined : freeWait(flags, outputOf(flags));
  const look = (signal?: AbortSignal) =>
    lookToLaunch({ recipe, ...flags, takenPorts, env: process.env, cwd: process.cwd(), signal });
  for (let tries = 1, portsLost = 0; ; tries += 1) {
    const prepared = wait ? await wait.next(look) : preparedOf(await look());
    if (flags.rolling && (await previewRolling(prepared, flags))) return;
    if (flags.dryRun) {
      process.stdout.write(formatPlan(prepared, flags.json === true, process.stdout));
      return;
    }
    if (flags.rolling && tries === 1) await rollRunning(prepared, flags);
    const session = new ServeSession(prepared, flags, wait ? performance.now() : began);
    try {
      await session.run();
      return;
    } catch (error) {
      if (isLostPort(error, prepared.plan.processes) && portsLost < PORT_RETRIES) {
        portsLost += 1;
        session.say('a port was taken between plan and start; planning with others');
        takenPorts.push(...portsOf(prepared.plan));
      } else if (wait) await wait.lost(error);
      else throw error;
    }
  }
}

const outputOf = ({ json, detach }: ServeFlags): ServeOutput =>
  json ? new JsonOutput() : new LineOutput({ detaches: detach ?? false });

class ServeSession {
  readonly #prepared: PreparedLaunch;
  readonly #flags: ServeFlags;
  readonly #began: number;
  readonly #output: ServeOutput;
  #screen: OpenScreen | undefined;
  #latest: DeploymentSnapshot | undefined;
  #wake: () => void = () => {};
  #announced = false;
  readonly #ended = new AbortController();

  constructor(prepared: PreparedLaunch, flags: ServeFlags, began: number) {
    this.#prepared = prepared;
    this.#flags = flags;
    this.#began = began;
    this.#output = outputOf(flags);
  }

  async run(): Promise<void> {
    try {
      await this.#run();
    } finally {
      this.#ended.abort();
      this.#output.close();
    }
  }

  async #run(): Promise<void> {
    const { plan, loaded } = this.#prepared;
    this.say(`${plan.deployment}: ${plan.processes.length} processes on ${plan.hosts.join(', ')}, from ${loaded.file}`);
    for (const warning of plan.warnings) this.say(`warning: ${warning}`);
    const outcome = await startDeployment({
      request: startRequest(this.#prepared, {
        ephemeral: this.#flags.ephemeral ?? false,
        nodeArchive: this.#flags.nodeArchive,
      }),
      replace: this.#flags.replace ?? false,
      prepare: (peer) => this.#listen(peer),
      preflight: () => refuseHeldPorts(plan, this.#prepared.facts, portHolder),
      onNote: (text) => this.say(text),
    });
    if (outcome.how !== 'started')
      this.say(`${plan.deployment} runs already: ${outcome.how} (controller pid ${outcome.hello.pid})`);
    if (outcome.how === 'attached') await bringSecrets(outcome.peer, plan);
    const { scaled } = outcome.hello.snapshot;
    if (scaled.length > 0)
      this.say(`scaled since: ${scaled.map(({ group, from, to }) => `${group} ${from} → ${to}`).join(', ')}`);
    const signals = new SignalCount();
    signals.onSignal = () => this.#wake();
    try {
      if (wantsScreen(this.#flags, thisTerminal())) await this.#openScreen(outcome.hello.snapshot, signals);
      this.#show(outcome.hello.snapshot);
      await this.#attend(outcome, signals);
    } finally {
      await this.#closeScreen();
      signals.close();
      outcome.peer.close();
    }
  }

  /** At the bottom of the screen while one is open, else a line. */
  say(text: string): void {
    if (this.#screen) this.#screen.say(text.trim());
    else this.#output.say(text);
  }

  async #openScreen(first: DeploymentSnapshot, signals: SignalCount): Promise<void> {
    const open = await loadScreen();
    this.#output.close();
    const ephemeral = this.#flags.ephemeral ?? false;
    const screen = open({
      deployment: this.#prepared.plan.deployment,
      dir: this.#prepared.dir,
      first,
      mode: 'serve',
      ephemeral,
      onInterrupt: () => signals.stop(),
      // What is tied to this command ends with it.
      onLeave: () => (ephemeral ? signals.stop() : signals.detach()),
      onHangUp: () => signals.detach(),
    });
    this.#screen = screen;
    // Serving does not depend on drawing: without a screen it goes on with lines.
    screen.ended.catch(async (error: unknown) => {
      await this.#closeScreen();
      this.say(`the full-screen view failed (${messageOf(error)}); going on with lines`);
    });
  }

  async #closeScreen(): Promise<void> {
    const screen = this.#screen;
    this.#screen = undefined;
    await screen?.close();
  }

  #listen(peer: ControllerPeer): void {
    peer.on('snapshot', (snapshot) => this.#show(snapshot));
    peer.on('event', (event) => {
      if (!this.#screen) this.#output.event(event, this.#announced);
    });
  }

  #show(snapshot: DeploymentSnapshot): void {
    this.#latest = snapshot;
    if (!this.#screen) this.#output.snapshot(snapshot, performance.now() - this.#began);
    this.#wake();
  }

  /** Until the deployment has ended, a signal has stopped it, the user leaves, or (detached) it is ready. */
  async #attend(outcome: StartOutcome, signals: SignalCount): Promise<void> {
    let { peer } = outcome;
    const { how } = outcome;
    let asks = how === 'adopted';
    void pause(ADOPTION_MS, this.#ended.signal).then(() => {
      asks = false;
      this.#wake();
    });
    const isAsking = ({ processes }: DeploymentSnapshot): boolean =>
      asks && processes.some(({ state }) => state === 'unknown' || state === 'starting');
    const wakeOnClose = () => void peer.closed.then(() => this.#wake());
    wakeOnClose();
    for (;;) {
      if (signals.detached) return await this.#leave();
      if (signals.count > 0) return await this.#stop((force) => peer.request('stop', { force }), signals);
      const { state } = this.#latest!;
      if (state === 'failed' && this.#latest!.error) throw DynamoError.from(this.#latest!.error);
      if (!peer.open) {
        const next = await this.#afterClose(signals);
        if (!next) return;
        peer = next;
        wakeOnClose();
        continue;
      }
      const isKnown = state === 'ready' || (state === 'degraded' && how !== 'started' && !isAsking(this.#latest!));
      if (isKnown && !this.#announced) {
        this.#announce(how);
        if (this.#flags.detach) return;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #announce(how: StartOutcome['how']): void {
    this.#announced = true;
    const tookMs = performance.now() - this.#began;
    if (this.#screen) this.say('ready; ? shows the keys and a request to try');
    else this.#output.ready(this.#latest!, tookMs, how === 'started' ? tookMs : null);
  }

  /** The terminal has gone, or the user has left the screen. */
  async #leave(): Promise<void> {
    if (!this.#screen) return;
    await this.#closeScreen();
    this.say(goesOn(this.#prepared.plan.deployment));
  }

  async #stop(ask: (force: boolean) => Promise<{ leftPids: number[] }>, signals: SignalCount): Promise<void> {
    this.say(`\nstopping ${this.#prepared.plan.deployment}; press Ctrl-C again to force it`);
    const stopping = ask(false);
    stopping.catch(() => {});
    const forced = new Promise<'forced'>((resolve) => {
      signals.onSignal = () => {
        if (signals.count > 1) resolve('forced');
      };
      signals.onSignal();
    });
    if ((await Promise.race([stopping, forced])) === 'forced') {
      await ask(true).catch(() => {});
      await stopping.catch(() => {});
      await this.#closeScreen();
      this.say('stopped by force');
      process.exitCode = EXIT_FORCED;
      return;
    }
    const { leftPids } = await stopping;
    await this.#closeScreen();
    if (leftPids.length > 0) throw new DynamoError('STOP_INCOMPLETE', `could not be ended: ${leftPids.join(', ')}`);
    this.say('stopped; nothing is left');
  }

  /**
   * The controller went away. Its record says whether that was the end of the deployment. A screen stays open over a deployment
   * that is unattended; the controller that adopts it is returned.
   */
  async #afterClose(signals: SignalCount): Promise<ControllerPeer | undefined> {
    const { dir } = this.#prepared;
    const record = readRecord(deploymentPaths(dir).record);
    if (record?.error) throw DynamoError.from(record.error as SerializedError);
    if (record?.phase === 'stopped') {
      await this.#closeScreen();
      this.say(`${record.name} was stopped`);
      return undefined;
    }
    if (record?.phase === 'starting') {
      throw new DynamoError(
        'START_LOST',
        'the controller died during the start; the agents take it back by themselves',
      );
    }
    if (!this.#screen || this.#flags.ephemeral)
      throw new DynamoError('CONTROLLER_LOST', 'the controller died; serving goes on unattended');
    return await this.#awaitController(signals);
  }

  async #awaitController(signals: SignalCount): Promise<ControllerPeer | undefined> {
    const { dir, plan } = this.#prepared;
    const signalled = new AbortController();
    signals.onSignal = () => signalled.abort();
    while (!signals.detached && signals.count === 0) {
      const client = await connectController(dir, { prepare: (peer) => this.#listen(peer) }).catch(() => undefined);
      if (client) {
        signals.onSignal = () => this.#wake();
        this.#show(client.hello.snapshot);
        return client.peer;
      }
      const phase = readRecord(deploymentPaths(dir).record)?.phase;
      if (phase === 'stopped') {
        await this.#closeScreen();
        this.say(`${plan.deployment} was stopped`);
        return undefined;
      }
      await pause(LOOK_MS, signalled.signal);
    }
    if (signals.detached) await this.#leave();
    else
      await this.#stop(async (force) => {
        await stopDeployment(plan.deployment, dir, { force });
        return { leftPids: [] };
      }, signals);
    return undefined;
  }
}
