import type { Command } from 'commander';
import type { CommandEntry } from './command.ts';
import type { HostsFlags } from './hosts-run.ts';
import { addSubcommand } from './subcommand.ts';

const WHERE = 'hosts file (default: hosts.yaml of this folder, else this machine alone)';

export const hostsCommand: CommandEntry = {
  name: 'hosts',
  summary: 'Check, show and clean the hosts of a hosts file',
  example: ['dynamo hosts check --hosts hosts.yaml', 'dynamo hosts show gpu-a --json > gpu-a.json'],
  define(command: Command) {
    const sub = (name: string, summary: string, ...example: string[]): Command =>
      addSubcommand(command, name, summary, ...example).option('--hosts <file>', WHERE);

    sub('check', 'Ask all hosts at once whether they can be used, and say what to mend', 'dynamo hosts check')
      .option('--json', 'print the reports as JSON')
      .action(async (flags: HostsFlags) => {
        const { checkHosts } = await import('./hosts-run.ts');
        await checkHosts(flags);
      });

    sub(
      'show',
      'Show what a host has: processors, memory, GPUs and their links, networks, engines',
      'dynamo hosts show gpu-a',
      'dynamo hosts show gpu-a --json > gpu-a.json && dynamo plan my-recipe.yaml --facts gpu-a.json',
    )
      .argument('<host>', 'a host of the hosts file, or an address')
      .option('--cached', 'what it had when it was last asked; it is not asked now')
      .option('--json', 'print its facts as JSON, as `plan --facts` takes them')
      .action(async (host: string, flags: HostsFlags & { cached?: boolean }) => {
        const { showHost } = await import('./hosts-run.ts');
        await showHost(host, flags);
      });

    sub(
      'clean',
      'Remove kits and the state of stopped deployments from the hosts',
      'dynamo hosts clean --hosts hosts.yaml',
    )
      .argument('[host...]', 'only these (default: all of the hosts file)')
      .option('-y, --yes', 'do not ask')
      .option('--json', 'print what was removed as JSON')
      .action(async (hosts: string[], flags: HostsFlags & { yes?: boolean }) => {
        const { cleanHosts } = await import('./hosts-clean-run.ts');
        await cleanHosts(hosts, flags);
      });
  },
};
