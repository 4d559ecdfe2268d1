/** What the action returns, or `otherwise` when it throws: for looks at what may be gone by now, or is not ours to see. */
export function attempt<T>(action: () => T, otherwise: T): T {
  try {
    return action();
  } catch {
    return otherwise;
  }
}
