import type { PhaseSnapshot } from '../deployment/snapshot.ts';

/** One thing smoke looked at. */
export interface CheckOutcome {
  name: string;
  tookMs: number;
  /** Null: it holds. */
  failure: string | null;
}

/** JUnit XML as CI servers read it (one suite, one case a check, seconds); start-up time by phase becomes its properties. */
export function toJunit(
  suite: string,
  outcomes: readonly CheckOutcome[],
  starts: readonly { process: string; phases: readonly PhaseSnapshot[] }[] = [],
): string {
  const seconds = (ms: number) => (ms / 1000).toFixed(3);
  const failures = outcomes.filter((outcome) => outcome.failure !== null).length;
  const total = outcomes.reduce((sum, outcome) => sum + outcome.tookMs, 0);
  const cases = outcomes.map(({ name, tookMs, failure }) => {
    const open = `    <testcase classname="${escapeXml(suite)}" name="${escapeXml(name)}" time="${seconds(tookMs)}"`;
    return failure === null
      ? `${open}/>`
      : `${open}>\n      <failure message="${escapeXml(failure.split('\n')[0] ?? '')}">${escapeXml(failure)}</failure>\n    </testcase>`;
  });
  const properties = starts.flatMap(({ process, phases }) =>
    phases.map(
      ({ phase, ms }) => `      <property name="${escapeXml(`startup.${process}.${phase}`)}" value="${seconds(ms)}"/>`,
    ),
  );
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites tests="${outcomes.length}" failures="${failures}" time="${seconds(total)}">`,
    `  <testsuite name="${escapeXml(suite)}" tests="${outcomes.length}" failures="${failures}" errors="0" skipped="0" time="${seconds(total)}">`,
    ...(properties.length > 0 ? ['    <properties>', ...properties, '    </properties>'] : []),
    ...cases,
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}

/** Markup, and what XML 1.0 does not allow at all (control characters, halves of surrogate pairs; its production 2). */
function escapeXml(text: string): string {
  const clean = text.replaceAll(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '');
  return clean.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
