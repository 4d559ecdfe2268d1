import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasEtcd } from '../helpers/etcd-server.ts';
import { Fleet, named } from '../helpers/fleet.ts';
import { hasTestHosts } from '../helpers/test-hosts.ts';
import { waitFor } from '../helpers/until.ts';

/** Long enough for a stranger to be there first. */
const RESTART = '{ initialBackoff: 5s, maxBackoff: 5s }';

/** Keeps trying until the port is free, then holds it, and writes down who it is. `node`: one that the host has. */
const squat = (node: string, address: string, port: number): string => {
  const program = `
    const { writeFileSync } = require("node:fs");
    const server = require("node:http").createServer((_, answer) => answer.end("{}"));
    const listen = () => server.listen(${port}, "${address}", () => writeFileSync("/tmp/squatting", String(process.pid)));
    server.on("error", () => { writeFileSync("/tmp/lurking", ""); setTimeout(listen, 20); });
    listen();`;
  return `${node} -e '${program}' >/dev/null 2>&1 &`;
};

describe.skipIf(!hasTestHosts || !hasEtcd)('a stranger on another host', () => {
  let fleet: Fleet;
  beforeAll(async () => {
    fleet = await Fleet.start({
      hosts: 2,
      workers: `{ prefill: { restart: ${RESTART} }, decode: { restart: ${RESTART} } }`,
    });
  });
  afterAll(() => fleet?.[Symbol.asyncDispose]());

  it('that takes the port of a worker there is left alone: the worker takes another, and its pair is proven at it', async () => {
    const snapshot = await fleet.served();
    const before = named(snapshot, 'decode-0');
    const agent = snapshot.agents.find((one) => one.host === before.host)!;
    const host = fleet.host(before.host);
    const { hostname, port } = new URL(before.url);
    host.run(squat(`/proc/${agent.pid}/exe`, hostname, Number(port)));
    await waitFor('it to have tried', () => host.run('ls /tmp').includes('lurking'));
    fleet.kill(before);
    const after = await fleet.is('decode-0 to be back', (now) => {
      const { state, generation } = named(now, 'decode-0');
      return state === 'ready' && generation > before.generation;
    });
    const worker = named(after, 'decode-0');
    const pid = host.run('cat /tmp/squatting').trim();
    host.run(`kill ${pid}; rm /tmp/squatting`);
    expect(worker.ports['http']).not.toBe(before.ports['http']);
    expect(worker.restarts).toBe(before.restarts + 1);
    // The host's own agent saw who it is.
    const moved = fleet.box
      .events('fleet')
      .filter(({ type, message }) => type === 'port' && message.includes(' http '));
    expect(moved.map(({ message }) => message)).toEqual([expect.stringContaining(`held by pid ${pid} (`)]);
    await fleet.is('its pair to be proven', ({ pairs }) => pairs.every(({ state }) => state === 'proven'));
    await fleet.stopsClean();
  });
});
