import type { RecipeIssue } from './problem.ts';
import type { DiscoveryFile } from './schema.ts';

const ETCD_KEYS = ['endpoints', 'prefix', 'tls', 'user', 'password', 'managed'] as const;
/** What says how to reach an etcd that somebody else runs. */
const FOREIGN_KEYS = ['endpoints', 'tls', 'user', 'password'] as const;

/** Rules between the keys of `discovery`. */
export function checkDiscovery(discovery: DiscoveryFile): RecipeIssue[] {
  return discovery.backend === 'file' ? checkFile(discovery) : checkEtcd(discovery);
}

function checkFile(discovery: DiscoveryFile): RecipeIssue[] {
  const issues: RecipeIssue[] = ETCD_KEYS.filter((key) => discovery[key] !== undefined).map((key) => ({
    path: ['discovery', key],
    message: `\`${key}\` is for \`backend: etcd\``,
    atKey: true,
  }));
  if (discovery.root !== undefined && !discovery.root.startsWith('/'))
    issues.push({ path: ['discovery', 'root'], message: 'expected a path that begins with /, ./ or ../' });
  return issues;
}

function checkEtcd(discovery: DiscoveryFile): RecipeIssue[] {
  const issues: RecipeIssue[] = [];
  const complain = (keys: (string | number)[], message: string, atKey = false): void => {
    issues.push({ path: ['discovery', ...keys], message, atKey });
  };
  if (discovery.root !== undefined) complain(['root'], '`root` is for `backend: file`', true);
  const { endpoints, managed, tls, user, password, prefix } = discovery;
  if (prefix !== undefined && !prefix.startsWith('/')) complain(['prefix'], 'expected a prefix that begins with /');
  if (managed !== undefined) {
    for (const key of FOREIGN_KEYS) {
      if (discovery[key] !== undefined)
        complain([key], `\`${key}\` and \`managed\` exclude each other: dynamo knows its own etcd`, true);
    }
    const members = managed === true ? undefined : managed.hosts;
    if (members && members.length % 2 === 0)
      complain(
        ['managed', 'hosts'],
        `${members.length} members bear no more losses than ${members.length - 1}: name one, three or five hosts`,
      );
    if (members && new Set(members).size < members.length)
      complain(['managed', 'hosts'], 'a host can run one member only');
    return issues;
  }
  if (endpoints === undefined) {
    complain(['backend'], '`etcd` needs `endpoints`, such as [http://10.0.0.1:2379], or `managed: true`');
    return issues;
  }
  const listed = typeof endpoints === 'string' ? endpoints.split(',') : endpoints;
  listed.forEach((text, index) => {
    if (!isEndpoint(text.trim()))
      complain(
        typeof endpoints === 'string' ? ['endpoints'] : ['endpoints', index],
        `"${text.trim()}" is no address of an etcd: write http://HOST:PORT or https://HOST:PORT`,
      );
  });
  const secure = listed.filter((text) => text.trim().startsWith('https:')).length;
  if (secure > 0 && secure < listed.length)
    complain(['endpoints'], 'they mix http and https: write all of them with https, or none');
  if (tls && secure === 0) complain(['tls'], '`tls` needs endpoints with https', true);
  if (tls && (tls.certFile === undefined) !== (tls.keyFile === undefined))
    complain(['tls'], '`certFile` and `keyFile` belong together', true);
  if (user !== undefined && password === undefined) complain(['password'], '`user` needs a `password`');
  if (user === undefined && password !== undefined) complain(['password'], '`password` needs a `user`', true);
  return issues;
}

function isEndpoint(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol) || url.hostname === '') return false;
  return url.pathname === '/' && url.username === '' && url.search === '' && url.hash === '';
}
