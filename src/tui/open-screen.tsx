import { render } from 'ink';
import type { DeploymentSnapshot } from '../deployment/snapshot.ts';
import { App } from './app.tsx';
import { LiveView } from './data/live-view.ts';
import type { ScreenMode } from './screen-mode.ts';
import { glyphsFor } from './text/glyphs.ts';
import type { Effect } from './ui-state.ts';

const MAX_FPS = 10;

export interface ScreenOptions {
  deployment: string;
  dir: string;
  first: DeploymentSnapshot;
  mode: ScreenMode;
  /** Leaving stops the deployment. */
  ephemeral: boolean;
  /** Ctrl-C, and in `serve` also a stop that was asked for and confirmed. */
  onInterrupt(): void;
  /** The user leaves. */
  onLeave(): void;
  /** The terminal has gone. */
  onHangUp(): void;
}

/** The full-screen view while it is open. */
export interface OpenScreen {
  /** Rejects when drawing fails; never resolves otherwise than by `close`. */
  readonly ended: Promise<void>;
  /** Shown at the bottom until a key is pressed. */
  say(text: string): void;
  /** Gives the terminal back as it was. */
  close(): Promise<void>;
}

/** Takes the terminal over and shows a deployment until it is closed. Call it only where there is a terminal. */
export function openScreen(options: ScreenOptions): OpenScreen {
  const view = new LiveView(options.deployment, options.dir, options.first).start();
  const theme = { color: !process.env['NO_COLOR'], glyphs: glyphsFor(process.env, process.platform) };
  const closing = new AbortController();
  // A terminal that goes away ends its input, or fails it with EIO, before or after SIGHUP.
  for (const event of ['end', 'error'] as const) {
    process.stdin.on(event, options.onLeave);
    closing.signal.addEventListener('abort', () => process.stdin.removeListener(event, options.onLeave), {
      once: true,
    });
  }
  const onEffect = (effect: Effect): void => {
    if (effect.type === 'interrupt' || (effect.type === 'stop' && options.mode === 'serve')) options.onInterrupt();
    else if (effect.type === 'detach') options.onLeave();
    else if (effect.type === 'stop') void view.stop(effect.force);
    else if (effect.type === 'adopt') void view.adopt();
    else if (effect.type === 'scale') void view.scale(effect.targets);
    else if (effect.type === 'rolling') void view.restartAll();
    else void view.act(effect.type, effect.process);
  };
  const ink = render(
    <App view={view} theme={theme} mode={options.mode} ephemeral={options.ephemeral} onEffect={onEffect} />,
    { alternateScreen: true, exitOnCtrlC: false, interactive: true, patchConsole: false, maxFps: MAX_FPS },
  );
  const ended = ink.waitUntilExit().then(() => undefined);
  ended.catch(() => {});
  return {
    ended,
    say: (text) => view.say({ text, tone: 'info' }),
    async close() {
      view.close();
      ink.unmount();
      await ended.catch(() => {});
      closing.abort();
    },
  };
}
