import { describe, expect, it } from '@jest/globals';

import { Html, html } from './index.js';

describe('html', () => {
  it('escapes values in text and in attributes', () => {
    const hostile = `<script>"&'`;
    expect(html`<p title="${hostile}">${hostile}</p>`.text).toBe(
      '<p title="&#60;script&#62;&#34;&#38;&#39;">&#60;script&#62;&#34;&#38;&#39;</p>',
    );
  });

  it('keeps markup, joins lists and leaves out what is not there', () => {
    expect(
      html`<ul>${[html`<li>1</li>`, html`<li>2</li>`]}${null}${undefined}${false}${0}</ul>`.text,
    ).toBe('<ul><li>1</li><li>2</li>0</ul>');
    expect(html`${new Html('<b>')}${'<b>'}`.text).toBe('<b>&#60;b&#62;');
  });
});
