export { SecretBox, SecretBoxError, type SecretBinding } from './secret-box.js';
export { generateKeyRing, parseKeyRing, KeyRingError, type KeyRing } from './key-ring.js';
