export type { Fault } from './faults.js';
export { type Corruption, makePush, type PushIdentity, type PushResult } from './pusher.js';
export { type JournalEntry, type SandboxOptions, WechatSandbox } from './sandbox.js';
export { type SandboxAccount, type SandboxAuthorization, type SandboxData } from './state.js';
