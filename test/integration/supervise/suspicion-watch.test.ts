import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { SuspicionWatch } from '../../../src/agent/suspicion-watch.ts';
import { makeSnapshot } from '../../helpers/snapshots.ts';
import { waitFor } from '../../helpers/until.ts';

type Instance = { name: string; suspicion?: { why: string; forMs: number } | null };

describe('SuspicionWatch', () => {
  it('tells of each suspicion once as it begins and as it ends, and keeps what it knows of a frontend that does not answer', async () => {
    let answer: Instance[] | 'garbage' | 'cut' = [{ name: 'prefill-0', suspicion: null }, { name: 'old' }];
    let asked = 0;
    const server = http.createServer((_request, response) => {
      asked += 1;
      if (answer === 'cut') response.destroy();
      else response.writeHead(503).end(answer === 'garbage' ? '<html>' : JSON.stringify({ instances: answer }));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const told: string[] = [];
    let changes = 0;
    const stop = new AbortController();
    const watch = new SuspicionWatch({
      processes: () => makeSnapshot({ frontend: { url } }).processes,
      events: { write: (type, message, process) => void told.push(`${type} ${process}: ${message}`) },
      changed: () => {
        changes += 1;
      },
      signal: stop.signal,
    });
    const running = watch.run();
    const looked = async () => {
      const from = asked;
      await waitFor('another look', () => asked > from + 1);
    };
    try {
      await looked();
      expect([told, watch.list(), changes]).toEqual([[], [], 0]);
      answer = [{ name: 'prefill-0', suspicion: { why: 'silent', forMs: 1_200 } }];
      await looked();
      expect(told).toEqual([
        'suspect prefill-0: prefill-0 is suspect for frontend: silent for 1.2 s; requests go elsewhere until it answers',
      ]);
      for (const trouble of ['garbage', 'cut'] as const) {
        answer = trouble;
        await looked();
      }
      expect(watch.list()).toMatchObject([{ frontend: 'frontend', worker: 'prefill-0', why: 'silent' }]);
      expect(watch.list()[0]!.forMs).toBeGreaterThan(1_200);
      expect([told.length, changes]).toEqual([1, 1]);
      answer = [];
      await waitFor('its end', () => changes === 2);
      expect(told[1]).toMatch(/^trusted prefill-0: frontend suspects prefill-0 no more, after /);
      expect(watch.list()).toEqual([]);
    } finally {
      stop.abort();
      await running;
      server.close();
      server.closeAllConnections();
    }
  });
});
