import { describe, expect, it } from 'vitest';
import { inErrorEnvelope, refusalOf } from '../../../src/openai/worker-error.ts';

const convert = (text: string) => inErrorEnvelope(Buffer.from(text)).toString();

describe('inErrorEnvelope', () => {
  it.each([
    [
      '{"object":"error","message":"no","type":"BadRequestError","param":"p","code":400}',
      { message: 'no', type: 'BadRequestError', param: 'p', code: 400 },
    ],
    ['{"error":"Unauthorized"}', { message: 'Unauthorized', type: 'invalid_request_error', param: null, code: null }],
    ['{"detail":"Not Found"}', { message: 'Not Found', type: 'invalid_request_error', param: null, code: null }],
  ])('puts %s into OpenAI’s envelope', (text, error) => {
    expect(JSON.parse(convert(text))).toEqual({ error });
  });

  it.each([
    '{"error": {"message":"m","code":12345678901234567890}}',
    '{"detail":[{"loc":["body"]}]}',
    'nope',
    '7',
    '',
    '{}',
  ])('leaves %s as it is', (text) => {
    expect(convert(text)).toBe(text);
  });
});

describe('refusalOf', () => {
  it.each([
    ['{"error":{"message":"too long","type":"BadRequestError"}}', 'too long'],
    ['{"object":"error","message":"no"}', 'no'],
    ['{"detail":"Not Found"}', 'Not Found'],
    ['<html>502</html>', '<html>502</html>'],
    ['{"error":null}', '{"error":null}'],
    ['[1]', '[1]'],
    ['null', 'null'],
    ['', ''],
  ])('finds what %s says', (text, said) => {
    expect(refusalOf(Buffer.from(text))).toBe(said);
  });

  it('is short', () => {
    expect(refusalOf(Buffer.from('x'.repeat(1_000)))).toHaveLength(300);
  });
});
