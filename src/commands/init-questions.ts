import { createInterface } from 'node:readline/promises';
import { DynamoError } from '../base/errors.ts';
import { TEMPLATES, type TemplateEngine } from '../init/templates.ts';
import { type InitChoice, readPort } from './init-choice.ts';

/**
 * Asks for template (unless it was named), model, engine and port; Enter takes what is proposed. `proposeFor` makes the proposals of
 * another template. Throws `START_STOPPED` when the user leaves with Ctrl-C or Ctrl-D.
 */
export async function askInit(
  named: string | undefined,
  proposed: InitChoice,
  proposeFor: (template: string) => InitChoice,
): Promise<InitChoice> {
  const left = new AbortController();
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  lines.on('SIGINT', () => left.abort());
  lines.on('close', () => left.abort());
  const ask = async <T>(question: string, usual: string, read: (text: string) => T | undefined): Promise<T> => {
    for (;;) {
      const text = (await lines.question(`${question} [${usual}] `, { signal: left.signal })).trim();
      const value = read(text === '' ? usual : text);
      if (value !== undefined) return value;
    }
  };
  try {
    let choice = proposed;
    if (named === undefined) {
      for (const [index, { name, summary }] of TEMPLATES.entries())
        process.stdout.write(`  ${index + 1}  ${name.padEnd(14)}${summary}\n`);
      const name = await ask('Template', proposed.template.name, readTemplateName);
      choice = proposeFor(name);
    }
    const { engines } = choice.template;
    const engine =
      engines.length === 1
        ? engines[0]!
        : await ask(`Engine (${engines.join(', ')})`, choice.engine, (text) => oneOf(text, engines));
    // Another engine may want another model and number of GPUs.
    if (engine !== choice.engine)
      choice = { ...choice, engine, ...(engine === 'mocker' ? { model: 'mock-model', gpus: 0 } : {}) };
    const model = await ask('Model', choice.model, (text) => text);
    const port = await ask('Port of the frontend, or auto', String(choice.port), readPortOrSay);
    return { ...choice, model, port };
  } catch (error) {
    if (left.signal.aborted) throw new DynamoError('START_STOPPED', 'nothing was written', { hint: 'Run it again.' });
    throw error;
  } finally {
    lines.close();
  }
}

function readTemplateName(text: string): string | undefined {
  const found = TEMPLATES[Number(text) - 1] ?? TEMPLATES.find(({ name }) => name === text);
  if (!found) process.stdout.write(`  a number from 1 to ${TEMPLATES.length}, or a name\n`);
  return found?.name;
}

function oneOf(text: string, choices: readonly TemplateEngine[]): TemplateEngine | undefined {
  const found = choices.find((choice) => choice === text);
  if (!found) process.stdout.write(`  one of ${choices.join(', ')}\n`);
  return found;
}

function readPortOrSay(text: string): number | 'auto' | undefined {
  try {
    return readPort(text);
  } catch (error) {
    if (!(error instanceof DynamoError)) throw error;
    process.stdout.write('  a number from 1 to 65535, or auto\n');
    return undefined;
  }
}
