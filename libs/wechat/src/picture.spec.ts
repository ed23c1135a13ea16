import { describe, expect, it } from '@jest/globals';

import { isWechatPicture } from './picture.js';

const OWN = 'http://127.0.0.1:3900';

describe('isWechatPicture', () => {
  it.each([
    'http://wx.qlogo.cn/mmopen/abc/0',
    'https://thirdwx.qlogo.cn/mmopen/abc/132',
    'http://mmbiz.qpic.cn/mmbiz_jpg/abc/0',
    `${OWN}/mmopen/abc/0`,
  ])('takes %s', (address) => {
    expect(isWechatPicture(address, OWN)).toBe(true);
  });

  it.each([
    '',
    'not an address',
    'ftp://wx.qlogo.cn/x',
    'http://wx.qlogo.cn:8080/x',
    'http://user@wx.qlogo.cn/x',
    'http://qlogo.cn.example.com/x',
    'http://evilqlogo.cn/x',
    'http://127.0.0.1:3901/x',
    'http://169.254.169.254/latest',
  ])('refuses %p', (address) => {
    expect(isWechatPicture(address, OWN)).toBe(false);
  });
});
