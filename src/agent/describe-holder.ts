import { holderOf } from '../hosts/port-holder.ts';
import { userName } from '../hosts/process-facts.ts';
import { listeningSockets } from '../hosts/tcp-sockets.ts';
import { describeStranger } from '../supervise/port-strangers.ts';

/** `held by pid 4711 (python3 -m http.server; user alice)`; `in use` when nobody is seen to listen there any more. */
export function describeHolder(port: number): string {
  const sockets = listeningSockets().filter((socket) => socket.port === port);
  const [first] = sockets;
  if (!first) return 'in use';
  return `held by ${describeStranger({ holder: holderOf(sockets), user: userName(first.uid) })}`;
}
