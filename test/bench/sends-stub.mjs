// A WeChat with one account that answers after as long as it is told, and tells of no results.
// Told over IPC: `begin` sets the time and begins to count, `end` tells what has come.
import { once } from 'node:events';
import { createServer } from 'node:http';

import { ACCESS_TOKEN, REFRESH_TOKEN, SEND_PATH, TEMPLATE } from './sends-shared.mjs';
import { serve } from './tokens-shared.mjs';

/** Beyond what a JavaScript number holds, as WeChat's are. */
const FIRST_MSGID = 2_899_166_829_348_376_577n;
const QUERY = `?access_token=${ACCESS_TOKEN}`;

let delayMs = 0;
let sends = 0;
let messages = new Set();
let msgid = FIRST_MSGID;

const ANSWERS = {
  '/cgi-bin/component/api_authorizer_token': () =>
    JSON.stringify({
      authorizer_access_token: ACCESS_TOKEN,
      expires_in: 7200,
      authorizer_refresh_token: REFRESH_TOKEN,
    }),
  '/cgi-bin/component/api_start_push_ticket': () => '{"errcode":0,"errmsg":"ok"}',
  [`/cgi-bin/template/get_all_private_template${QUERY}`]: () =>
    JSON.stringify({ template_list: [TEMPLATE] }),
  [SEND_PATH + QUERY]: (body) => {
    const { client_msg_id: id } = JSON.parse(body);
    sends += 1;
    messages.add(id);
    return `{"errcode":0,"errmsg":"ok","msgid":${(msgid += 1n)}}`;
  },
};

function answer({ url }, body) {
  // The component's token is the one that the service was given: any will do.
  const path = url.startsWith('/cgi-bin/component/') ? url.split('?', 1)[0] : url;
  return (
    ANSWERS[path]?.(body) ??
    '{"errcode":40001,"errmsg":"invalid credential, access_token is invalid or not latest"}'
  );
}

const server = createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const reply = () => {
      response.setHeader('content-type', 'application/json; encoding=utf-8');
      response.end(answer(request, Buffer.concat(chunks).toString()));
    };
    // Connections are opened by requests that are not measured: they need not wait.
    if (delayMs > 0 && request.url !== '/') setTimeout(reply, delayMs);
    else reply();
  });
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');

serve({
  async begin(input) {
    ({ delayMs } = input);
    sends = 0;
    messages = new Set();
    return { port: server.address().port };
  },
  async end() {
    return { sends, messages: messages.size };
  },
});
