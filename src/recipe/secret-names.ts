/** `HF_TOKEN`, `AWS_SECRET_ACCESS_KEY`, `DB_PASSWORD`; not `TOKENIZERS_PARALLELISM`, not `MAX_TOKENS`. */
const SECRET_NAME = /(^|[_-])(token|secret|password|passwd|passphrase|apikey|key|credentials?|auth)($|[_-])/i;
/** Of tokens of text: `dbo-prefill-token-threshold`. */
const QUANTITY = /[_-](threshold|size|count|limit|budget|len|length)$/i;

/** Whether a variable or flag of this name probably holds a secret. */
export function looksSecret(name: string): boolean {
  return SECRET_NAME.test(name) && !QUANTITY.test(name);
}
