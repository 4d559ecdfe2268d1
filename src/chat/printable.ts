/**
 * Text of a model without what could steer a terminal: escape and other control characters, except line ends and tabs.
 * C1 controls count too; a terminal in 8-bit mode obeys them. Pure.
 */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '');
}
