import { parseDocument } from 'yaml';
import type { Problem } from './problem.ts';
import { mapOver, type ScalarNode, type Tree } from './tree.ts';

/** `${NAME}`, `${NAME:-default}` (also for an empty variable), `$${` for a literal `${`, and anything else that starts like one. */
const REFERENCE = /\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}|\$\{/g;

/**
 * Replaces references to environment variables in all values (not in keys). An unquoted value is read again afterwards,
 * so `port: ${PORT}` is a number.
 */
export function substituteEnvironment(tree: Tree, env: Record<string, string | undefined>, problems: Problem[]): Tree {
  return mapOver(tree, (scalar) => {
    if (typeof scalar.value !== 'string' || !scalar.value.includes('${')) return scalar;
    let referred = false;
    const value = scalar.value.replace(REFERENCE, (match, name: string | undefined, fallback: string | undefined) => {
      if (match === '$${') return '${';
      if (name === undefined) {
        problems.push({
          place: scalar.place,
          message: `expected \${NAME} or \${NAME:-default}; write $\${ for a literal \${`,
        });
        return match;
      }
      referred = true;
      const found = env[name];
      if (fallback !== undefined) return found === undefined || found === '' ? fallback : found;
      if (found === undefined)
        problems.push({
          place: scalar.place,
          message: `the environment variable ${name} is not set; set it, or write \${${name}:-default}`,
        });
      return found ?? '';
    });
    return referred && scalar.plain ? readAgain(value, scalar) : { ...scalar, value };
  });
}

function readAgain(value: string, scalar: ScalarNode): ScalarNode {
  // Only what is one plain scalar is read as YAML: a value must not turn into a map or bring a comment.
  const document = parseDocument(value, { logLevel: 'silent' });
  const read: unknown = document.errors.length === 0 && document.toJS();
  const simple = typeof read === 'number' || (typeof read === 'boolean' && document.errors.length === 0);
  return { ...scalar, value: simple && !/[#\s]/.test(value) ? (read as number | boolean) : value };
}
