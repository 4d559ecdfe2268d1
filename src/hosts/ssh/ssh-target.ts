/** How to reach a host by SSH, as a hosts file says it. What it leaves out comes from `~/.ssh/config`, then from defaults. */
export interface SshTarget {
  /** What messages call it. */
  name: string;
  /** A name, an IPv4 or IPv6 address, or an alias of `~/.ssh/config`. */
  address: string;
  port?: number | undefined;
  user?: string | undefined;
  /** Private key file; `~` is the launcher's home. */
  identityFile?: string | undefined;
  /** Socket of an agent, or `none`. */
  identityAgent?: string | undefined;
  /** A host to go through; it may have one of its own. */
  jump?: SshTarget | undefined;
  /** Known-hosts file to use instead of the user's. */
  knownHosts?: string | undefined;
}

/** One connection on the way to a host, everything settled. */
export interface SshHop {
  /** Name in messages: the host's, or `jump host NAME`. */
  name: string;
  address: string;
  port: number;
  user: string;
  /** Private key files that exist, in the order they are tried. */
  keyFiles: string[];
  /** Socket of the agent; null for none. */
  agent: string | null;
  knownHostsFiles: string[];
  /** Command for a shell whose standard input and output are the connection; null for TCP, or through the hop before. */
  proxyCommand: string | null;
  /** Under which name its key is looked up. */
  keyName: string;
}
