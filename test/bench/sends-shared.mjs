// What the parts of the benchmark of sending agree on.
export const ACCESS_TOKEN = `71_${'t'.repeat(157)}`;
export const REFRESH_TOKEN = `refreshtoken@@@${'r'.repeat(43)}`;
export const SEND_PATH = '/cgi-bin/message/template/send';
export const TEMPLATE = {
  template_id: 'tplA0000000000000000000000000000000000000001',
  title: '订单发货通知',
  primary_industry: '消费品',
  deputy_industry: '消费品',
  content: '单号：{{character_string1.DATA}}\n时间：{{time2.DATA}}\n备注：{{thing3.DATA}}\n',
  example: '',
};

const DATA = {
  character_string1: 'SO20260801',
  time2: '2026-08-01 10:00',
  thing3: '包裹已发出，请注意查收',
};
const PAGE_URL = 'https://m.example.com/orders/88';

/** The nth message, as a client asks the service for it. */
export function requestOf(n) {
  return {
    kind: 'template_message',
    content: { templateId: TEMPLATE.template_id, data: DATA, url: PAGE_URL },
    to: { openid: openidOf(n) },
  };
}

/** The same as the service asks WeChat for it. */
export function wechatRequestOf(n) {
  return {
    touser: openidOf(n),
    template_id: TEMPLATE.template_id,
    url: PAGE_URL,
    client_msg_id: String(n).padStart(32, '0'),
    data: Object.fromEntries(Object.entries(DATA).map(([key, value]) => [key, { value }])),
  };
}

function openidOf(n) {
  return `oia2TjuEGTNoeX76${String(n).padStart(12, '0')}`;
}
