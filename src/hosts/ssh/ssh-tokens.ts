import { DynamoError } from '../../base/errors.ts';

/**
 * Replaces `%h` and its like (ssh_config(5), TOKENS). Throws `HOST_UNREACHABLE` for one that is not among those given. `what`: where it
 * stands, for the message.
 */
export function expandTokens(text: string, tokens: Readonly<Record<string, string>>, what: string): string {
  return text.replace(/%(.?)/gs, (found, letter: string) => {
    if (letter === '%') return '%';
    const value = tokens[letter];
    if (value !== undefined) return value;
    throw new DynamoError('HOST_UNREACHABLE', `${what}: dynamo does not know the token ${found}`, {
      hint: `It knows %% and ${Object.keys(tokens)
        .map((token) => `%${token}`)
        .join(', ')} there.`,
    });
  });
}

/** Whether a name may stand in a command that a shell reads, as OpenSSH judges it. */
export function isSafeInShell(name: string): boolean {
  return name !== '' && !/^-|['`"$\\;&<>|(){}\s]|\p{Cc}/u.test(name);
}
