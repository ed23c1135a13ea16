export type { Fault } from './faults.js';
export { FIRST_OPENID, greet } from './first-person.js';
export type { SandboxMedia } from './media-api.js';
export { type Forwarder, makeOwnPush, type PushConfig, type SandboxReceipt } from './own-push.js';
export type { Activity, SandboxPerson, SandboxWindow, SpoiltResult } from './people.js';
export type { Person } from './person.js';
export {
  type Corruption,
  type MadePush,
  makePush,
  type MessagePushResult,
  type PushIdentity,
  type PushResult,
} from './pusher.js';
export type { SandboxQrCode } from './qr-codes.js';
export { type ReleaseTestCase, type ReleaseTestResult, runReleaseTest } from './release-test.js';
export type { PendingResult, Release, Results, ResultTiming } from './results.js';
export { type JournalEntry, type SandboxOptions, WechatSandbox } from './sandbox.js';
export {
  type SandboxAccount,
  type SandboxAuthorization,
  type SandboxBroadcast,
  type SandboxData,
  type SentMessage,
} from './state.js';
export type { SandboxTag } from './tag-api.js';
export type { SandboxTemplate } from './templates.js';
