import { Box, Text } from 'ink';
import type { DeploymentSnapshot } from '../../deployment/snapshot.ts';
import type { ScreenMode } from '../screen-mode.ts';
import { Line } from './line.tsx';
import { SectionTitle } from './section-title.tsx';

const KEYS: readonly [string, string][] = [
  ['tab, 1-5', 'next pane, a pane by its number'],
  ['up/down, j/k', 'choose a process, scroll; page-up, page-down, g, G'],
  ['enter', 'everything about the chosen process; enter or esc closes it'],
  ['o', 'order the processes by role or by host'],
  ['l', 'its log; left/right another one, f or G follows'],
  ['/  n N', 'in a log: search, next older and newer match'],
  ['&  w', 'in a log: only lines that hold a text; wrap long lines'],
  ['r', 'restart the chosen process, after draining it'],
  ['d', 'drain it: take it out of service'],
  ['R', 'restart everything, one process after the other'],
  ['+', 'scale: more or fewer workers of a role'],
  ['s', 'stop the deployment'],
  ['a', 'adopt it, when no controller runs'],
];

/** What the keys do, and a request to try. */
export function HelpPane({
  snapshot,
  mode,
  width,
  rows,
}: {
  snapshot: DeploymentSnapshot;
  mode: ScreenMode;
  width: number;
  rows: number;
}) {
  const leaving: readonly [string, string][] =
    mode === 'serve'
      ? [
          ['q', 'leave; the deployment goes on running'],
          ['ctrl-c', 'stop everything: first drains, again forces'],
        ]
      : [['q, ctrl-c', 'leave; the deployment goes on running']];
  const keys = [...KEYS, ...leaving];
  const model = snapshot.models[0] ?? 'model';
  const body = JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello' }], max_tokens: 32 });
  const shown = keys.slice(0, Math.max(1, rows - 1));
  return (
    <Box flexDirection="column" height={rows} overflow="hidden">
      <SectionTitle title="Keys" width={width} />
      {shown.map(([key, does]) => (
        <Line key={key} width={width} spans={[{ text: `  ${key.padEnd(14)}`, tone: 'accent' }, { text: does }]} />
      ))}
      {rows >= keys.length + 6 ? (
        <>
          <SectionTitle title="A request to try, in another terminal" width={width} />
          <Text wrap="wrap">
            {`curl ${snapshot.endpoint}/v1/chat/completions -H 'content-type: application/json' -d '${body.replaceAll("'", "'\\''")}'`}
          </Text>
        </>
      ) : null}
    </Box>
  );
}
