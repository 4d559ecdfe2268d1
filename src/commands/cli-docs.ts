import type { Command } from 'commander';
import { buildProgram } from './program.ts';

const COLUMNS = 100;

const INTRO = `# The command line

<!-- Generated from src/commands by \`npm run docs\`. Do not edit. -->

Standard output carries results, standard error carries logs and errors. A failed command ends with \`error: … [CODE]\` and
\`hint: …\` on standard error; [errors.md](errors.md) lists the codes and exit statuses, [json-output.md](json-output.md) what
\`--json\` prints. Each section below is what \`dynamo COMMAND --help\` prints.
`;

/** docs/cli.md: the help of every visible command, in the order of \`dynamo --help\`. */
export function cliDocs(): string {
  const program = buildProgram('0.0.0');
  const commands = visibleCommands(program).filter((command) => command.name() !== 'help');
  const rows = commands.map(
    (command) => `| [\`${pathOf(command)}\`](#${anchorOf(command)}) | ${command.description()} |`,
  );
  return [
    INTRO,
    '| Command | What it does |',
    '|---|---|',
    ...rows,
    '',
    `## dynamo\n\n${fence(helpOf(program))}`,
    ...commands.map((command) => `## ${pathOf(command)}\n\n${fence(helpOf(command))}`),
  ].join('\n');
}

/** Commands and their subcommands, hidden ones left out. */
export function visibleCommands(command: Command): Command[] {
  const children = command.createHelp().visibleCommands(command) as Command[];
  return children.flatMap((child) => [child, ...visibleCommands(child)]);
}

/** What `--help` prints, examples included. */
export function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({
    writeOut: (part) => {
      text += part;
    },
    getOutHelpWidth: () => COLUMNS,
    getOutHasColors: () => false,
  });
  command.outputHelp();
  return text.trimEnd();
}

function pathOf(command: Command): string {
  return command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name();
}

const anchorOf = (command: Command): string => pathOf(command).replaceAll(' ', '-');
const fence = (text: string): string => `\`\`\`text\n${text}\n\`\`\`\n`;
