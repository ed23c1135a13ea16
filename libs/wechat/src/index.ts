export {
  type AccountStatus,
  type AccountSubtype,
  type ApiQuota,
  type AuthorizationInfo,
  type AuthorizationPage,
  authorizationPageUrl,
  type AuthorizerAuthorization,
  type AuthorizerDetails,
  type AuthorizerListItem,
  clearQuota,
  clearQuotaBySecret,
  createPreAuthCode,
  getAuthorizerInfo,
  getComponentToken,
  getQuota,
  getRid,
  listAuthorizers,
  mobileAuthorizationPageUrl,
  queryAuth,
  refreshAuthorizerToken,
  type RidRecord,
  startPushTicket,
} from './component.js';
export { decryptMessage, encryptMessage, isEncodingAesKey, sameText, sign } from './crypto.js';
export { sendCustomerServiceText } from './customer-service.js';
export {
  adviceFor,
  classify,
  type ErrorClass,
  KNOWN_ERRCODES,
  type Reaction,
  REACTIONS,
} from './errcodes.js';
export { type UnavailableFailure, WechatApiError, WechatUnavailableError } from './errors.js';
export { type CallOptions, type WechatCall, WechatHttp, type WechatHttpOptions } from './http.js';
export { parseApiJson, parsePushJson } from './json.js';
export {
  type AccountType,
  accountTypeOf,
  MINIMUM_PERMISSIONS,
  type MinimumPermission,
  PERMISSION_SETS,
  permissionName,
  type PermissionSet,
} from './permissions.js';
export { PushError, type PushRefusal } from './push-error.js';
export {
  answerHandshake,
  type AuthorizedPush,
  dedupKey,
  type EncryptionMode,
  type EventPush,
  type MessagePush,
  type OpenedPush,
  openPush,
  type OtherInfoPush,
  parsePushDocument,
  type Push,
  type PushCredentials,
  type PushFormat,
  type PushQuery,
  readPushQuery,
  type TicketPush,
  toPush,
  type UnauthorizedPush,
} from './push.js';
export {
  isReleaseTestAccount,
  RELEASE_TEST_ACCOUNTS,
  type ReleaseTestAccount,
  type ReleaseTestAnswer,
  releaseTestAnswer,
} from './release-test.js';
export {
  type Article,
  imageReply,
  musicReply,
  newsReply,
  type ReplyHead,
  sealReply,
  textReply,
  transferCustomerServiceReply,
  videoReply,
  voiceReply,
} from './reply.js';
export {
  isSubscriptionEvent,
  readSubscriptionEvent,
  SUBSCRIPTION_EVENTS,
  type SubscriptionEvent,
  type SubscriptionReceipt,
} from './subscription-event.js';
export type { Text } from './text.js';
export { buildXml, parseXml, type XmlInput, type XmlObject, type XmlValue } from './xml.js';
