import { parseArgs } from 'node:util';

import { QUICKSTART_COMPONENT } from './defaults.js';
import { WechatSandbox } from './sandbox.js';

const TICKET_EVERY_MS = 10 * 60_000;

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '3900' },
    'events-url': { type: 'string', default: 'http://localhost:3000/wechat/component/events' },
    'messages-url': {
      type: 'string',
      default: 'http://localhost:3000/wechat/accounts/$APPID$/messages',
    },
    'launch-domain': { type: 'string', default: 'localhost:3000' },
    'component-appid': { type: 'string', default: QUICKSTART_COMPONENT.appid },
    'component-appsecret': { type: 'string', default: QUICKSTART_COMPONENT.appSecret },
    'component-token': { type: 'string', default: QUICKSTART_COMPONENT.token },
    'component-aes-key': { type: 'string', default: QUICKSTART_COMPONENT.encodingAesKey },
  },
});

const sandbox = await WechatSandbox.start({
  port: Number(values.port),
  component: {
    appid: values['component-appid'],
    appSecret: values['component-appsecret'],
    token: values['component-token'],
    encodingAesKey: values['component-aes-key'],
  },
  launchDomain: values['launch-domain'],
  eventsUrl: values['events-url'],
  messagesUrl: values['messages-url'],
});
const ticking = setInterval(() => void sandbox.pushTicket(), TICKET_EVERY_MS);
void sandbox.pushTicket();
process.stdout.write(`微信沙箱 WeChat sandbox: ${sandbox.url}\n`);

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    clearInterval(ticking);
    void sandbox.stop().then(() => process.exit(0));
  });
}
