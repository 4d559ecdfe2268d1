import { expect, it } from 'vitest';
import { toJunit } from '../../../src/smoke/junit.ts';

it('counts cases and failures, in seconds', () => {
  const outcomes = [
    { name: 'every process is ready', tookMs: 1.4, failure: null },
    { name: 'tiny answers', tookMs: 1_500, failure: 'a completion answers 500\nsecond line' },
  ];
  expect(toJunit('demo', outcomes)).toMatchInlineSnapshot(`
    "<?xml version="1.0" encoding="UTF-8"?>
    <testsuites tests="2" failures="1" time="1.501">
      <testsuite name="demo" tests="2" failures="1" errors="0" skipped="0" time="1.501">
        <testcase classname="demo" name="every process is ready" time="0.001"/>
        <testcase classname="demo" name="tiny answers" time="1.500">
          <failure message="a completion answers 500">a completion answers 500
    second line</failure>
        </testcase>
      </testsuite>
    </testsuites>
    "
  `);
});

it('escapes markup and drops what XML cannot hold', () => {
  const failure = `<a href="x">&\u0000\u001b[31mred\u0007\ttab ü 🎉 ]]> \ud800 \ufffe`;
  const text = toJunit('a <suite> & "more"', [{ name: 'x < y', tookMs: 0, failure }]);
  expect(text).toContain('name="a &lt;suite&gt; &amp; &quot;more&quot;"');
  expect(text).toContain('&lt;a href=&quot;x&quot;&gt;&amp;[31mred\ttab ü 🎉 ]]&gt;');
  // XML 1.0, production 2: nothing outside these may appear.
  expect(text).toMatch(/^[\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]*$/u);
});

it('is a suite without cases when nothing ran', () => {
  expect(toJunit('demo', [])).toContain('<testsuites tests="0" failures="0" time="0.000">');
});

it('says as properties what the start of each process took', () => {
  const text = toJunit('demo', [], [{ process: 'decode-0', phases: [{ phase: 'weights', ms: 30_100 }] }]);
  expect(text).toContain('<properties>\n      <property name="startup.decode-0.weights" value="30.100"/>');
});
