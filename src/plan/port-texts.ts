import type { EngineLaunch } from '../engines/worker.ts';
import type { PortText } from './launch-plan.ts';

/**
 * Ports as data: an adapter writes argv and environment with names in place of ports, and the numbers are written in here, as often as
 * one of them moves. Pure.
 */

/** What stands for a port of that purpose until its number is written in. */
export const portName = (purpose: string): string => `{port:${purpose}}`;

/** Whether a text names the port of that purpose. */
export const namesPort = (text: string, purpose: string): boolean => text.includes(portName(purpose));

/** The text as people may read it whatever the numbers are: `10.0.0.1:<http port>`. */
export const withoutNumbers = (text: string): string => text.replace(/\{port:(\w+)\}/g, '<$1 port>');

/** The text with the numbers of these ports written in; names of others stay. */
export function writePorts(text: string, ports: Readonly<Record<string, number>>): string {
  return Object.entries(ports).reduce(
    (done, [purpose, port]) => done.replaceAll(portName(purpose), String(port)),
    text,
  );
}

/**
 * A launch with its numbers written in, and the texts that name its `own` ports: a follower is also told ports of its leader, which it
 * never moves.
 */
export function writeLaunchPorts(
  launch: EngineLaunch,
  ports: Readonly<Record<string, number>>,
  own: Readonly<Record<string, number>>,
): EngineLaunch & { portTexts: PortText[] } {
  const foreign = Object.fromEntries(Object.entries(ports).filter(([purpose]) => !(purpose in own)));
  const portTexts: PortText[] = [];
  const write = (written: string, place: { word: number } | { env: string }): string => {
    const text = writePorts(written, foreign);
    const done = writePorts(text, own);
    if (done !== text) portTexts.push({ ...place, text });
    return done;
  };
  return {
    ...launch,
    argv: launch.argv.map((text, word) => write(text, { word })),
    env: Object.fromEntries(
      Object.entries(launch.env).map(([env, value]) => [
        env,
        typeof value === 'string' ? write(value, { env }) : value,
      ]),
    ),
    reasons: launch.reasons.map((reason) => writePorts(reason, ports)),
    portTexts,
  };
}
