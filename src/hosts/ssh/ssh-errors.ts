import { DynamoError, messageOf, systemCode } from '../../base/errors.ts';
import type { SshHop } from './ssh-target.ts';

/** What a connection attempt had got to when it failed. */
export type SshStage = 'connect' | 'greet' | 'authenticate' | 'ready';

const WAITING: Record<SshStage, string> = {
  connect: 'a TCP connection',
  greet: 'the greeting and keys of its SSH server',
  authenticate: 'the SSH server to accept a key',
  ready: 'its SSH server',
};

/** `user@host port 2222`, as a person would type it. */
export function describeHop(hop: SshHop): string {
  return `${hop.user}@${hop.address}${hop.port === 22 ? '' : ` port ${hop.port}`}`;
}

/** The command with which a person tries the same. */
export function tryByHand(hop: SshHop): string {
  const port = hop.port === 22 ? '' : ` -p ${hop.port}`;
  const key = hop.keyFiles[0] === undefined ? '' : ` -i ${hop.keyFiles[0]}`;
  return `ssh -v${port}${key} ${hop.user}@${hop.address}`;
}

export function explainTimeout(hop: SshHop, stage: SshStage, timeoutMs: number): DynamoError {
  return new DynamoError(
    'HOST_UNREACHABLE',
    `${hop.name}: waited ${timeoutMs / 1000} s for ${WAITING[stage]} (${describeHop(hop)})`,
    {
      hint:
        stage === 'connect'
          ? 'Is the host up, is the address right, does a firewall drop the port?'
          : hop.proxyCommand === null
            ? `The host is there, but slow or stuck: \`${tryByHand(hop)}\``
            : `Is the host up, and does its ProxyCommand get there? Try it by hand: ${hop.proxyCommand}`,
    },
  );
}

/** Gives a failed attempt a message and a next step that a stranger understands. `tried` says what was offered. */
export function explainFailure(error: unknown, hop: SshHop, stage: SshStage, tried: readonly string[]): DynamoError {
  if (error instanceof DynamoError) return error;
  const fail = (what: string, hint: string, details: readonly string[] = []) =>
    new DynamoError('HOST_UNREACHABLE', `${hop.name}: ${what}`, { hint, details, cause: error });
  const text = messageOf(error);
  switch (systemCode(error)) {
    case 'ECONNREFUSED':
      return fail(
        `nothing listens on port ${hop.port} of ${hop.address}`,
        'Does its SSH server run, and on that port? `port` in the hosts file says another.',
      );
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return fail(`the name ${hop.address} is not known`, 'Check `address` in the hosts file, or give an IP address.');
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'EADDRNOTAVAIL':
      return fail(
        `there is no way to ${hop.address} (${systemCode(error)})`,
        'Check the network, a VPN, or name a `jump` host.',
      );
    case 'ETIMEDOUT':
      return fail(`no answer from ${hop.address} port ${hop.port}`, 'Is the host up, does a firewall drop the port?');
  }
  if (/authentication methods failed|Too many authentication failures/i.test(text) || stage === 'authenticate') {
    return fail(
      `${describeHop(hop)} refused ${tried.length === 0 ? 'to let us in: there was no key to offer' : 'every key'}`,
      tried.length === 0
        ? 'Name a private key with `identityFile`, or load one into an agent (`ssh-add`) and run dynamo where SSH_AUTH_SOCK is set.'
        : `Add the public key to ~/.ssh/authorized_keys of ${hop.user} there (\`ssh-copy-id\`), or see why it is refused: \`${tryByHand(hop)}\``,
      tried,
    );
  }
  if (/no matching (?:host key|key exchange|.*cipher|.*MAC)/i.test(text)) {
    return fail(
      `${describeHop(hop)} and dynamo have no SSH algorithm in common`,
      `Is its SSH server very old? \`${tryByHand(hop)}\``,
      [text],
    );
  }
  if (stage === 'greet') {
    return fail(
      `${hop.address} port ${hop.port} closed the connection before it greeted`,
      'Is that an SSH server? One that is overloaded (MaxStartups) or blocks this address does so too.',
      [text],
    );
  }
  return fail(`the SSH connection to ${describeHop(hop)} failed: ${text}`, `Try it by hand: \`${tryByHand(hop)}\``);
}
