import { Box } from 'ink';
import { alertsOf, MOST_ALERTS } from '../alerts.ts';
import type { ViewState } from '../deployment-view.ts';
import { deploymentTone } from '../state-tone.ts';
import { formatAge } from '../text/format.ts';
import { Line } from './line.tsx';

/** Who it is, how it is, where it answers, and what must not be overlooked. */
export function Header({ view, width }: { view: ViewState; width: number }) {
  const { snapshot } = view;
  const isUp = snapshot.state !== 'stopped' && snapshot.state !== 'failed';
  const alerts = alertsOf(snapshot);
  const shown = alerts.slice(0, MOST_ALERTS);
  return (
    <Box flexDirection="column">
      <Line
        width={width}
        spans={[
          { text: snapshot.name, tone: 'strong' },
          { text: '  ' },
          { text: snapshot.state.toUpperCase(), tone: deploymentTone(snapshot.state) },
          ...(snapshot.unattended ? [{ text: '  ' }, { text: 'UNATTENDED', tone: 'warn' as const }] : []),
        ]}
        right={[{ text: isUp ? `up ${formatAge(view.uptimeMs)}` : `generation ${snapshot.generation}`, tone: 'dim' }]}
      />
      <Line
        width={width}
        spans={[
          { text: snapshot.models.join(', ') },
          { text: '  ' },
          { text: `${snapshot.endpoint}/v1`, tone: 'accent' },
        ]}
      />
      {shown.map((alert, index) => (
        <Line
          key={alert.text}
          width={width}
          spans={[{ text: alert.text, tone: alert.tone }]}
          right={
            index === MOST_ALERTS - 1 && alerts.length > MOST_ALERTS
              ? [{ text: `and ${alerts.length - MOST_ALERTS} more`, tone: alert.tone }]
              : []
          }
        />
      ))}
    </Box>
  );
}
