import { CreateFirstTables1795478400000 } from './1795478400000-create-first-tables.js';
import { CreateSpine1795564800000 } from './1795564800000-create-spine.js';
import { CreateTokenCustody1795651200000 } from './1795651200000-create-token-custody.js';
import { CreateAccess1795737600000 } from './1795737600000-create-access.js';
import { CreateIdempotencyAndRotation1795824000000 } from './1795824000000-create-idempotency-and-rotation.js';
import { CreateAccountLifecycle1795910400000 } from './1795910400000-create-account-lifecycle.js';
import { CreateSendConfig1796083200000 } from './1796083200000-create-send-config.js';
import { CreateReceipts1796169600000 } from './1796169600000-create-receipts.js';
import { CreateWebhooks1796256000000 } from './1796256000000-create-webhooks.js';
import { CreatePeople1796342400000 } from './1796342400000-create-people.js';
import { CreateMedia1796428800000 } from './1796428800000-create-media.js';
import { CreateDeliveries1796515200000 } from './1796515200000-create-deliveries.js';
import { CreateAutoReplies1796601600000 } from './1796601600000-create-auto-replies.js';
import { CreateQrCodes1796688000000 } from './1796688000000-create-qr-codes.js';
import { AddPassedOver1796731200000 } from './1796731200000-add-passed-over.js';
import { AddAppidToIdempotency1796774400000 } from './1796774400000-add-appid-to-idempotency.js';

/** In the order they run. A migration that has landed is never edited. */
export const migrations = [
  CreateFirstTables1795478400000,
  CreateSpine1795564800000,
  CreateTokenCustody1795651200000,
  CreateAccess1795737600000,
  CreateIdempotencyAndRotation1795824000000,
  CreateAccountLifecycle1795910400000,
  CreateSendConfig1796083200000,
  CreateReceipts1796169600000,
  CreateWebhooks1796256000000,
  CreatePeople1796342400000,
  CreateMedia1796428800000,
  CreateDeliveries1796515200000,
  CreateAutoReplies1796601600000,
  CreateQrCodes1796688000000,
  AddPassedOver1796731200000,
  AddAppidToIdempotency1796774400000,
];
