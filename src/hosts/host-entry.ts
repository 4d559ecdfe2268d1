import type { EnvValue } from '../yaml/env-value.ts';

/** How a machine is reached by SSH. What is left out comes from `~/.ssh/config` where it names the address, else from SSH's own defaults. */
export interface SshTarget {
  name: string;
  /** IPv4, IPv6 without brackets, a name, or a `Host` of `~/.ssh/config`. */
  address: string;
  port?: number;
  user?: string;
  /** Absolute path of a private key on this machine. */
  identityFile?: string;
  /** Absolute path of an agent's socket on this machine; `none`: use no agent. */
  identityAgent?: string;
  /** Absolute path of the known-hosts file to check the host's key against. */
  knownHosts?: string;
  /** Machine to go through. */
  jump?: SshTarget;
}

/** One host of a hosts file, with the file's defaults applied. Nothing of `~/.ssh/config` is in it. */
export interface HostEntry extends SshTarget {
  /** This machine, reached without SSH. */
  local: boolean;
  /** `rack`, `zone`, or anything a person wants to sort by. */
  labels: Record<string, string>;
  /** Indices of the GPUs that may be used; undefined: all. */
  gpus?: number[];
  /** Network and RDMA devices that may be used; undefined: all. */
  nics?: string[];
  /** Where its processes listen and are reached by those of other hosts; undefined: chosen from the facts. */
  dataAddress?: string;
  /** For everything that dynamo starts on the host. */
  env: Record<string, EnvValue>;
  /** Folder on the host for state and logs; may begin with `~/`. */
  stateDir?: string;
  /** Folder on the host for the kit; may begin with `~/`. */
  kitDir?: string;
  /** Node on the host; may begin with `~/`. */
  nodePath?: string;
}

/** This machine, when nothing else is said. */
export const LOCAL_HOST: HostEntry = { name: 'local', address: 'local', local: true, labels: {}, env: {} };
