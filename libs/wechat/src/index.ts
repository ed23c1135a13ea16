export {
  type Broadcast,
  BROADCAST_RESULT_EVENT,
  type BroadcastAudience,
  type BroadcastContent,
  type BroadcastReceipt,
  type BroadcastRefusal,
  type BroadcastResult,
  type BroadcastStatus,
  deleteBroadcast,
  getBroadcastStatus,
  previewBroadcast,
  readBroadcastResult,
  sendBroadcast,
} from './broadcast.js';
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
export {
  CUSTOMER_SERVICE_TYPES,
  type CustomerServiceMessage,
  type CustomerServiceType,
  MAX_CUSTOMER_SERVICE_TEXT_BYTES,
  sendCustomerServiceMessage,
  sendCustomerServiceText,
} from './customer-service-message.js';
export {
  adviceFor,
  adviceOf,
  classify,
  type ErrorClass,
  KNOWN_ERRCODES,
  type Reaction,
  REACTIONS,
} from './errcodes.js';
export { type UnavailableFailure, WechatApiError, WechatUnavailableError } from './errors.js';
export {
  type CallOptions,
  type Upload,
  type WechatCall,
  WechatHttp,
  type WechatHttpOptions,
} from './http.js';
export { parseApiJson, parsePushJson } from './json.js';
export {
  ARTICLE_IMAGE_LIMIT,
  checkMedia,
  checkMediaFacts,
  MATERIAL_LIMITS,
  MEDIA_CONTENT_TYPES,
  MEDIA_ENDINGS,
  type MediaFacts,
  type MediaFormat,
  mediaFormatOf,
  type MediaKind,
  type MediaLimit,
  type MediaProblem,
  TEMPORARY_MEDIA_KINDS,
  TEMPORARY_MEDIA_LIFE_MS,
  TEMPORARY_MEDIA_LIMITS,
  uploadArticleImage,
  uploadMaterial,
  uploadTemporaryMedia,
} from './media.js';
export { getStableToken, getTokenOwner, refusedIp } from './own-token.js';
export {
  type AccountType,
  accountTypeOf,
  MINIMUM_PERMISSIONS,
  type MinimumPermission,
  PERMISSION_SETS,
  permissionName,
  type PermissionSet,
} from './permissions.js';
export { fetchPicture, isWechatPicture, type Picture, PictureError } from './picture.js';
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
  createMiniProgramCode,
  createQrCode,
  type MiniProgramCode,
  type QrCode,
} from './qr-code.js';
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
  ACTIVITIES,
  type Activity,
  activityOf,
  isMenuTap,
  isOfPerson,
  REPLY_WINDOWS,
  type ReplyWindow,
  type ReplyWindows,
  sceneOf,
} from './reply-window.js';
export {
  isSubscriptionEvent,
  readSubscriptionEvent,
  SUBSCRIPTION_EVENTS,
  type SubscriptionEvent,
  type SubscriptionReceipt,
} from './subscription-event.js';
export {
  listSubscriptionTemplates,
  sendSubscriptionMessage,
  type SubscriptionMessage,
  type SubscriptionTemplate,
} from './subscription-message.js';
export { createTag, listTags, type Tag, tagPeople, untagPeople } from './tag.js';
export {
  checkTemplateData,
  type ContentProblem,
  fieldRule,
  readFieldExamples,
  readTemplateFields,
  refusedField,
  TEMPLATE_FIELD_TYPES,
  type TemplateField,
  type TemplateFieldType,
} from './template-field.js';
export {
  listTemplates,
  type MessageTemplate,
  readTemplateResult,
  sendTemplateMessage,
  TEMPLATE_RESULT_EVENT,
  type TemplateMessage,
  type TemplateResult,
} from './template-message.js';
export type { Text } from './text.js';
export { buildXml, parseXml, type XmlInput, type XmlObject, type XmlValue } from './xml.js';
