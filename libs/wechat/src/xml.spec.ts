import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { PushError } from './push-error.js';
import { buildXml, parseXml } from './xml.js';

const read = (text: string): unknown => JSON.parse(JSON.stringify(parseXml(text)));

const outcomeOf = (text: string): string => {
  try {
    parseXml(text);
  } catch (error) {
    return error instanceof PushError ? error.reason : String(error);
  }
  return 'taken';
};

describe('parseXml', () => {
  it('reads text, CDATA, entities and empty elements as text', () => {
    expect(
      read('<xml><a>1</a><b><![CDATA[<&]]></b><c/><d></d><e>&lt;&#20320;&amp;</e></xml>'),
    ).toEqual({
      a: '1',
      b: '<&',
      c: '',
      d: '',
      e: '<你&',
    });
  });

  it('joins CDATA that was split around its own end mark', () => {
    expect(read('<xml><a><![CDATA[x]]]]><![CDATA[>y]]></a></xml>')).toEqual({ a: 'x]]>y' });
  });

  it('keeps a 64-bit id to the last digit', () => {
    expect(read('<xml><MsgId>6060349595123187712</MsgId></xml>')).toEqual({
      MsgId: '6060349595123187712',
    });
  });

  it('takes white space between elements, comments and a declaration', () => {
    expect(read('<?xml version="1.0"?>\n<xml>\n  <!-- c -->\n  <a>1</a>\n</xml>\n')).toEqual({
      a: '1',
    });
  });

  it('makes a list of the items that WeChat repeats', () => {
    expect(
      read('<xml><PicList><item><a>1</a></item><item><a>2</a></item></PicList></xml>'),
    ).toEqual({
      PicList: { item: [{ a: '1' }, { a: '2' }] },
    });
  });

  it('takes a hostile name for a name', () => {
    const fields = parseXml(
      '<xml><__proto__><polluted>1</polluted></__proto__><constructor>2</constructor></xml>',
    );
    expect(Object.keys(fields)).toEqual(['__proto__', 'constructor']);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  it.each([
    ['nothing', ''],
    ['text', 'hello'],
    ['another root', '<html></html>'],
    ['two roots', '<xml></xml><xml></xml>'],
    ['an open element', '<xml><a></xml>'],
    ['a DOCTYPE', '<!DOCTYPE xml><xml></xml>'],
    [
      'an external entity',
      '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><xml><a>&e;</a></xml>',
    ],
    [
      'entities that grow',
      '<!DOCTYPE x [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><xml><c>&b;</c></xml>',
    ],
    ['an unknown entity', '<xml><a>&nbsp;</a></xml>'],
    ['an illegal character', '<xml><a>&#0;</a></xml>'],
    ['a processing instruction', '<xml><?php echo 1 ?><a>1</a></xml>'],
    ['an attribute', '<xml><a x="1">1</a></xml>'],
    ['an element twice', '<xml><Encrypt>a</Encrypt><Encrypt>b</Encrypt></xml>'],
    ['text beside elements', '<xml><a>1</a>stray</xml>'],
    ['text in the root', '<xml>stray</xml>'],
    ['seven levels', `<xml>${'<a>'.repeat(6)}${'</a>'.repeat(6)}</xml>`],
    ['ten thousand levels', '<xml>' + '<a>'.repeat(10_000)],
    ['a CDATA without an end', '<xml><a><![CDATA[x</a></xml>'],
  ])('refuses %s', (_case, text) => {
    expect(() => parseXml(text)).toThrow(PushError);
  });

  it('takes six levels', () => {
    expect(read(`<xml>${'<a>'.repeat(5)}x${'</a>'.repeat(5)}</xml>`)).toEqual({
      a: { a: { a: { a: { a: 'x' } } } },
    });
  });

  it('throws nothing but its own refusal', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(...'<>/xmla&;![CDT]-"? \n你'.split('')) }),
        (text) => {
          expect(outcomeOf(text)).toMatch(/^(taken|unparsable)$/);
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('buildXml', () => {
  it('writes texts as CDATA and numbers bare', () => {
    expect(buildXml({ To: 'o<1', At: 7, Image: { MediaId: 'm' } })).toBe(
      '<xml><To><![CDATA[o<1]]></To><At>7</At><Image><MediaId><![CDATA[m]]></MediaId></Image></xml>',
    );
  });

  it('is read back to the same text, whatever that holds', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(...']>[<&!CDATA 你好'.split('')) }),
        (content) => {
          expect(read(buildXml({ Content: content }))).toEqual({ Content: content });
        },
      ),
      { numRuns: 500 },
    );
  });
});
