import { isIPv6 } from 'node:net';
import { z } from 'zod';
import { envMap, port } from '../yaml/schema-values.ts';

/** A hosts file as people write it. The only source of its types, its validation and the tables of docs/hosts.md. */

const hostName = z.string().regex(/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/, {
  error: 'expected up to 63 letters, digits, dots, dashes and underscores, beginning with a letter or digit',
});

/** Brackets around IPv6 are taken off; a user or a port inside has a key of its own. */
const address = z
  .string()
  .min(1)
  .transform((written, context) => {
    const bare = /^\[(.*)\]$/.exec(written)?.[1] ?? written;
    const refuse = (message: string) => {
      context.addIssue({ code: 'custom', message });
      return z.NEVER;
    };
    if (/[\s/]/.test(bare)) return refuse('expected an IPv4 or IPv6 address or a name');
    if (bare.includes('@')) return refuse('expected an address alone; the user has a key of its own, `user`');
    if (isIPv6(bare)) return bare;
    if (bare.includes(':')) return refuse('expected an address alone; the port has a key of its own, `port`');
    return bare;
  })
  .meta({ id: 'Address', description: 'IPv4, IPv6 (with or without brackets), or a name.' });

const user = z.string().regex(/^[^\s@:/]+$/, { error: 'expected a user name' });
const localPath = z.string().min(1);
const hostPath = z
  .string()
  .regex(/^(\/|~\/)/, { error: 'expected an absolute path on the host, or one that begins with ~/' });

const jump = z.union([
  z.string().min(1),
  z
    .strictObject({
      address: address.describe('Where it is, or a `Host` of `~/.ssh/config`.'),
      port: port.optional().describe('SSH port. Default: 22.'),
      user: user.optional().describe('Default: your own name.'),
      identityFile: localPath.optional().describe('Private key on this machine.'),
      identityAgent: localPath.optional().describe('Socket of an SSH agent, or `none`.'),
      knownHosts: localPath.optional().describe('Known-hosts file.'),
    })
    .meta({ id: 'Jump', description: 'The machine to go through.' }),
]);

/** Keys that a file may also give once for all hosts. */
const shared = {
  port: port.optional().describe('SSH port. Default: that of `~/.ssh/config`, else 22.'),
  user: user.optional().describe('User to log in as. Default: that of `~/.ssh/config`, else your own name.'),
  identityFile: localPath
    .optional()
    .describe(
      'Private key on this machine, relative to the file. Default: those of `~/.ssh/config`, the agent, `~/.ssh`.',
    ),
  identityAgent: localPath
    .optional()
    .describe('Socket of an SSH agent on this machine, or `none`. Default: `SSH_AUTH_SOCK`.'),
  knownHosts: localPath
    .optional()
    .describe("File that holds the host's key, relative to the hosts file. Default: `~/.ssh/known_hosts`."),
  jump: jump
    .optional()
    .describe(
      'Machine to go through: another host of the file, `user@address:port`, a map, or `none` against `defaults`.',
    ),
  labels: z
    .record(z.string().min(1), z.union([z.string(), z.number(), z.boolean()]).transform(String))
    .meta({ id: 'Labels', description: 'Text by key.' })
    .optional()
    .describe('Free text by key. `rack` and `zone` are what placement looks at.'),
  gpus: z
    .union([z.int().min(0).max(64), z.array(z.int().min(0)).refine(isSet, { error: 'the same index occurs twice' })], {
      error: 'expected a number of GPUs, or a list of their indices',
    })
    .optional()
    .describe('GPUs that may be used: a list of indices, or a number for the first ones. Default: all.'),
  nics: z
    .array(z.string().min(1))
    .min(1)
    .optional()
    .describe('Network and RDMA devices that may be used, such as `[ens1f0, mlx5_0]`; engines are told. Default: all.'),
  env: envMap.optional().describe('Environment of everything that dynamo starts there. `PATH` says where engines are.'),
  stateDir: hostPath.optional().describe('Folder on the host for state and logs. Default: `~/.local/state/dynamo`.'),
  kitDir: hostPath.optional().describe('Folder on the host for the kit. Default: `~/.local/share/dynamo/kits`.'),
  nodePath: hostPath.optional().describe('Node on the host. Default: the one on its PATH when new enough, else ours.'),
};

const host = z
  .strictObject({
    name: hostName
      .optional()
      .describe('What the host is called everywhere. `local` is this machine, without SSH. Default: its address.'),
    address: address
      .optional()
      .describe('Where SSH finds it, or a `Host` of `~/.ssh/config`; `local` is this machine. Default: its name.'),
    dataAddress: address
      .optional()
      .describe('Where its processes listen and the other hosts reach them. Default: chosen from the facts.'),
    ...shared,
  })
  .meta({ id: 'Host', description: 'One host.' });

const defaults = z
  .strictObject(shared)
  .meta({ id: 'Defaults', description: 'For every host that does not say otherwise.' });

export const hostListSchema = z
  .array(z.union([hostName, host], { error: 'expected a name, or a map with name, address, …' }))
  .min(1);

export const hostsFileSchema = z
  .strictObject({
    hosts: hostListSchema.describe('The hosts. A name alone stands for a host of that address.'),
    defaults: defaults
      .optional()
      .describe('For every host that does not say otherwise; `labels` and `env` are merged.'),
  })
  .meta({
    description: 'A hosts file. Keys at the top that begin with `x-` are yours, for instance to hold YAML anchors.',
  });

export type HostFile = z.output<typeof host>;
export type HostsFile = z.output<typeof hostsFileSchema>;

function isSet(values: readonly number[]): boolean {
  return new Set(values).size === values.length;
}
