import type { EtcdSpec } from '../discovery/etcd-settings.ts';
import type { DiscoveryRecipe } from '../recipe/recipe.ts';
import type { DiscoverySpec, EnvValue, EtcdDiscoverySpec } from './launch-plan.ts';

/** Where records lie, from the recipe. `members`: the processes of a managed etcd, with their client addresses. */
export function planDiscovery(
  discovery: DiscoveryRecipe,
  members: readonly { name: string; url: string }[],
): DiscoverySpec {
  const { ttl: ttlMs } = discovery;
  if (discovery.backend === 'file') {
    return { backend: 'file', ttlMs, ...(discovery.root === undefined ? {} : { root: discovery.root }) };
  }
  const { prefix, tls, user, password } = discovery;
  const managed = discovery.managed !== null;
  return dropUndefined({
    backend: 'etcd',
    ttlMs,
    endpoints: managed ? members.map(({ url }) => url) : discovery.endpoints,
    prefix,
    ...tls,
    user,
    passwordFrom: password,
    managed: managed ? { members: members.map(({ name }) => name) } : undefined,
  });
}

/** What the discovery layer opens. `root`: the host's folder for the file backend, where the plan names none. */
export function discoveryBackend(spec: DiscoverySpec, root: string): { backend: 'file'; root: string } | EtcdSpec {
  if (spec.backend === 'file') return { backend: 'file', root: spec.root ?? root };
  const { endpoints, prefix, caFile, certFile, keyFile, user, passwordFrom } = spec;
  const hasTls = caFile !== undefined || certFile !== undefined || keyFile !== undefined;
  return {
    ...{ backend: 'etcd', endpoints, prefix, user },
    tls: hasTls ? { caFile, certFile, keyFile } : undefined,
    password:
      passwordFrom && ('fromEnv' in passwordFrom ? { env: passwordFrom.fromEnv } : { file: passwordFrom.fromFile }),
  };
}

/** Where a frontend finds the password: its agent puts it there. */
const PASSWORD_VARIABLE = 'DYNAMO_DISCOVERY_PASSWORD';

/** What a frontend needs in its environment to open it. */
export function discoveryEnv(spec: DiscoverySpec): Record<string, EnvValue> {
  return spec.backend === 'etcd' && spec.passwordFrom ? { [PASSWORD_VARIABLE]: spec.passwordFrom } : {};
}

/** PEM files that everybody who opens it reads: those of the machine that starts the deployment, sent to the others. */
export function discoveryFiles(spec: DiscoverySpec): string[] {
  if (spec.backend === 'file') return [];
  return [...new Set([spec.caFile, spec.certFile, spec.keyFile].filter((file) => file !== undefined))];
}

/** The flags by which a frontend opens it. */
export function discoveryArgs(spec: DiscoverySpec, root: string): string[] {
  const ttl = ['--discovery-ttl-ms', String(spec.ttlMs)];
  if (spec.backend === 'file') return ['--discovery-backend', 'file', '--discovery-root', spec.root ?? root, ...ttl];
  const flag = (name: string, value: string | undefined): string[] => (value === undefined ? [] : [name, value]);
  return [
    ...['--discovery-backend', 'etcd', '--discovery-endpoints', spec.endpoints.join(',')],
    ...flag('--discovery-prefix', spec.prefix),
    ...flag('--discovery-ca-file', spec.caFile),
    ...flag('--discovery-cert-file', spec.certFile),
    ...flag('--discovery-key-file', spec.keyFile),
    ...flag('--discovery-user', spec.user),
    ...flag('--discovery-password-env', spec.passwordFrom && PASSWORD_VARIABLE),
    ...ttl,
  ];
}

/** For people, on one line. */
export function describeDiscovery(spec: DiscoverySpec): string {
  if (spec.backend === 'file') return spec.root === undefined ? 'file' : `file in ${spec.root}`;
  const own = spec.managed ? `, run by this deployment as ${spec.managed.members.join(', ')}` : '';
  const user = spec.user === undefined ? '' : ` as ${spec.user}`;
  return `etcd at ${spec.endpoints.join(', ')}${user}${own}`;
}

function dropUndefined(spec: { [K in keyof EtcdDiscoverySpec]: EtcdDiscoverySpec[K] | undefined }): EtcdDiscoverySpec {
  return Object.fromEntries(
    Object.entries(spec).filter(([, value]) => value !== undefined),
  ) as unknown as EtcdDiscoverySpec;
}
