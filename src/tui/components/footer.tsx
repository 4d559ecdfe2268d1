import type { ViewState } from '../deployment-view.ts';
import type { ScreenMode } from '../screen-mode.ts';
import type { Span } from '../text/fit-spans.ts';
import { displayWidth } from '../text/width.ts';
import { canAct, isUp } from '../ui-facts.ts';
import type { UiState } from '../ui-state.ts';
import { Line } from './line.tsx';

export interface FooterProps {
  view: ViewState;
  ui: UiState;
  mode: ScreenMode;
  width: number;
}

const PROMPTS = { search: '/', filter: '&', scale: 'workers: ' } as const;

const ANSWERS: readonly Span[] = [
  { text: 'y', tone: 'strong' },
  { text: ' yes  ' },
  { text: 'n', tone: 'strong' },
  { text: ' no' },
];

/** The last row: a question, what is typed, what became of the last wish, or the keys that matter here. */
export function Footer({ view, ui, mode, width }: FooterProps) {
  const { dialog, prompt } = ui;
  if (dialog) {
    const question: Span = { text: dialog.question, tone: 'warn' };
    // A question that is cut still shows how it is answered.
    const fits = displayWidth(`${dialog.question}  ${ANSWERS.map(({ text }) => text).join('')}`) <= width;
    return (
      <Line
        width={width}
        {...(fits ? { spans: [question, { text: '  ' }, ...ANSWERS] } : { spans: [question], right: ANSWERS })}
      />
    );
  }
  if (prompt)
    return (
      <Line
        width={width}
        spans={[
          { text: PROMPTS[prompt.kind], tone: 'accent' },
          { text: prompt.text },
          { text: '_', tone: 'dim' },
          ...(prompt.problem ? [{ text: `  ${prompt.problem}`, tone: 'bad' as const }] : []),
        ]}
        right={
          prompt.problem
            ? []
            : [{ text: prompt.kind === 'scale' ? 'enter scales, esc not' : 'enter done, esc clears', tone: 'dim' }]
        }
      />
    );
  const help: Span[] = [
    { text: '?', tone: 'strong' },
    { text: ' help', tone: 'dim' },
  ];
  if (view.note)
    return (
      <Line
        width={width}
        spans={[{ text: view.note.text, tone: view.note.tone === 'bad' ? 'bad' : 'accent' }]}
        right={help}
      />
    );
  return <Line width={width} spans={hints(view, ui, mode, width - 8)} right={help} />;
}

/** Those that fit into `room` cells; how to stop and to leave always. */
function hints(view: ViewState, ui: UiState, mode: ScreenMode, room: number): Span[] {
  const { snapshot } = view;
  if (snapshot.state === 'stopping' && mode === 'serve') return [{ text: 'Ctrl-C again stops by force', tone: 'warn' }];
  const here = paneHints(view, ui);
  const leaving: Hint[] = [
    ...(snapshot.unattended ? [['a', 'adopt'] as Hint] : []),
    ...(isUp(snapshot) ? [['s', 'stop'] as Hint] : []),
    ['q', mode === 'serve' ? 'detach' : 'leave'],
  ];
  while (here.length > 0 && widthOf([...here, ...leaving]) > room) here.pop();
  return [...here, ...leaving].flatMap(([key, does]) => [
    { text: key, tone: 'strong' as const },
    { text: ` ${does}  `, tone: 'dim' as const },
  ]);
}

type Hint = [key: string, does: string];

function paneHints({ snapshot }: ViewState, { overlay, pane, groupBy }: UiState): Hint[] {
  if (overlay !== null) return [['esc', 'back']];
  if (pane === 'logs')
    return [
      ['/', 'search'],
      ['&', 'filter'],
      ['w', 'wrap'],
      ['f', 'follow'],
    ];
  if (pane !== 'processes') return [['tab', 'next pane']];
  const acts: Hint[] = [
    ['r', 'restart'],
    ['d', 'drain'],
    ['+', 'scale'],
  ];
  return [
    ['enter', 'details'],
    ['l', 'logs'],
    ...(canAct(snapshot) ? acts : []),
    ['o', groupBy === 'role' ? 'by host' : 'by role'],
  ];
}

const widthOf = (keys: readonly [string, string][]) =>
  keys.reduce((sum, [key, does]) => sum + key.length + does.length + 3, 0);
