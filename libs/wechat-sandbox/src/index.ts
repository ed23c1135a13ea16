export type { Fault } from './faults.js';
export { type Forwarder, makeOwnPush, type PushConfig, type SandboxReceipt } from './own-push.js';
export {
  type Corruption,
  type MadePush,
  makePush,
  type MessagePushResult,
  type PushIdentity,
  type PushResult,
} from './pusher.js';
export { type ReleaseTestCase, type ReleaseTestResult, runReleaseTest } from './release-test.js';
export { type JournalEntry, type SandboxOptions, WechatSandbox } from './sandbox.js';
export {
  type SandboxAccount,
  type SandboxAuthorization,
  type SandboxData,
  type SentMessage,
} from './state.js';
