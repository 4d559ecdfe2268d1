import { type Command, Option } from 'commander';
import { DynamoError } from '../base/errors.ts';
import type { DiscoveryBackendSpec } from '../discovery/create-discovery.ts';

/** What commander makes of the options below. */
export interface DiscoveryFlags {
  discoveryBackend: 'file' | 'etcd';
  discoveryRoot?: string;
  discoveryEndpoints?: string;
  discoveryPrefix?: string;
  discoveryCaFile?: string;
  discoveryCertFile?: string;
  discoveryKeyFile?: string;
  discoveryUser?: string;
  discoveryPasswordEnv?: string;
  discoveryPasswordFile?: string;
}

/** The options that say where the records of a deployment lie. */
export function addDiscoveryOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--discovery-backend <backend>', 'where workers are found').choices(['file', 'etcd']).default('file'),
    )
    .option('--discovery-root <dir>', 'file: the folder')
    .option('--discovery-endpoints <urls>', 'etcd: its members, with commas')
    .option('--discovery-prefix <prefix>', 'etcd: where its keys begin (default: /dynamo)')
    .option('--discovery-ca-file <file>', 'etcd: authority that signed its certificate')
    .option('--discovery-cert-file <file>', 'etcd: certificate to show')
    .option('--discovery-key-file <file>', 'etcd: its key')
    .option('--discovery-user <name>', 'etcd: who to log in as')
    .option('--discovery-password-env <variable>', 'etcd: variable with the password')
    .option('--discovery-password-file <file>', 'etcd: file with the password');
}

/** Where the records lie. Throws `USAGE` when the options do not go together. */
export function toDiscovery(flags: DiscoveryFlags): DiscoveryBackendSpec {
  if (flags.discoveryBackend === 'file') {
    if (flags.discoveryRoot !== undefined) return { backend: 'file', root: flags.discoveryRoot };
    throw new DynamoError('USAGE', '--discovery-backend file needs --discovery-root', {
      hint: 'Name the folder with the records of the deployment.',
    });
  }
  const endpoints = (flags.discoveryEndpoints ?? '').split(',').filter((text) => text !== '');
  if (endpoints.length === 0) {
    throw new DynamoError('USAGE', '--discovery-backend etcd needs --discovery-endpoints', {
      hint: 'Name its members: --discovery-endpoints http://10.0.0.1:2379,http://10.0.0.2:2379',
    });
  }
  const { discoveryCaFile: caFile, discoveryCertFile: certFile, discoveryKeyFile: keyFile } = flags;
  const { discoveryPasswordEnv: env, discoveryPasswordFile: file } = flags;
  return {
    backend: 'etcd',
    endpoints,
    prefix: flags.discoveryPrefix,
    tls:
      caFile === undefined && certFile === undefined && keyFile === undefined
        ? undefined
        : { caFile, certFile, keyFile },
    user: flags.discoveryUser,
    password: env === undefined ? (file === undefined ? undefined : { file }) : { env },
  };
}
