import { stringify } from 'yaml';
import { looksSecret } from './secret-names.ts';

/** A resolved recipe as YAML, literal secrets hidden. */
export function formatRecipe(resolved: unknown): string {
  return stringify(hideSecrets(resolved), { lineWidth: 100 });
}

/** A resolved recipe without the text of environment values whose names are those of secrets. */
export function hideSecrets(resolved: unknown, key = ''): unknown {
  if (Array.isArray(resolved)) return resolved.map((item) => hideSecrets(item, key));
  if (typeof resolved !== 'object' || resolved === null) return resolved;
  return Object.fromEntries(
    Object.entries(resolved).map(([name, inner]: [string, unknown]) => {
      const secret = key === 'env' && typeof inner === 'string' && inner !== '' && looksSecret(name);
      return [name, secret ? '<hidden>' : hideSecrets(inner, name)];
    }),
  );
}
