import { EtcdAuthenticationFailedError, EtcdPermissionDeniedError, GRPCResourceExhastedError } from 'etcd3';
import { DynamoError, messageOf } from '../base/errors.ts';

/** Which etcd was asked, and as whom. */
export interface EtcdWhere {
  urls: readonly string[];
  user: string | undefined;
}

/** The error a user can act on for what an etcd call threw. The same cause gives the same message. */
export function explainEtcdError(error: unknown, where: EtcdWhere): DynamoError {
  if (error instanceof DynamoError) return error;
  const at = where.urls.join(', ');
  const text = messageOf(error);
  const unusable = (message: string, hint: string) =>
    new DynamoError('DISCOVERY_UNREACHABLE', message, { hint, cause: error });
  if (error instanceof GRPCResourceExhastedError && text.includes('database space exceeded')) {
    return new DynamoError('DISK_FULL', `etcd at ${at} takes nothing more: its database is full`, {
      hint: 'Compact and defragment it, then `etcdctl alarm disarm`; or raise its --quota-backend-bytes.',
      cause: error,
    });
  }
  if (error instanceof EtcdAuthenticationFailedError) {
    return unusable(
      `etcd at ${at} refuses the user ${where.user}: unknown, or the password is wrong`,
      'Check the user, and the variable or file that holds the password.',
    );
  }
  if (text.includes('user name is empty')) {
    return unusable(`etcd at ${at} wants a user`, 'Name a user, and the variable or file with its password.');
  }
  if (error instanceof EtcdPermissionDeniedError) {
    return unusable(
      `etcd at ${at} does not let ${where.user ?? 'a nameless user'} use the key prefix`,
      'Grant a role of this user `readwrite` on the prefix: `etcdctl role grant-permission ROLE --prefix=true readwrite /dynamo/`.',
    );
  }
  if (text.includes('authentication is not enabled')) {
    return unusable(`etcd at ${at} has no users: authentication is not enabled`, 'Leave out the user, or enable it.');
  }
  return unusable(
    `etcd at ${at} cannot be used: ${reasonOf(text)}`,
    `Check the addresses, that etcd runs there${at.includes('https:') ? ', and the TLS files' : ''}: \`etcdctl endpoint health\`.`,
  );
}

const SYSTEM_CODES: [RegExp, string][] = [
  [/ECONNREFUSED/, 'connection refused'],
  [/ENOTFOUND|EAI_AGAIN|Name resolution failed/, 'the name cannot be resolved'],
  [/EHOSTUNREACH|ENETUNREACH/, 'no route to the host'],
  [/ECONNRESET|EPIPE|socket hang up|disconnected before secure TLS|Connection dropped|closed by/i, 'connection closed'],
  [/ETIMEDOUT|DEADLINE_EXCEEDED|DeadlineExceeded|request timed out/i, 'no answer in time'],
  // What gRPC says between two attempts, when it has forgotten why the last one failed.
  [/No connection established/, 'no connection'],
  [/wrong version number|EPROTO/, 'it does not speak TLS'],
];

/** Without times, counts and object names, which would make each message another. */
function reasonOf(text: string): string {
  const certificate =
    /(self[- ]signed certificate|unable to [a-z ]*certificate|certificate has expired|Hostname\/IP does not match|alert bad certificate|alert certificate required)/i.exec(
      text,
    );
  if (certificate) return certificate[1]!;
  for (const [pattern, reason] of SYSTEM_CODES) if (pattern.test(text)) return reason;
  return text
    .replace(/^\w+: /, '')
    .replace(/^\d+ [A-Z_]+: /, '')
    .split(/[(\n]/)[0]!
    .trim();
}
