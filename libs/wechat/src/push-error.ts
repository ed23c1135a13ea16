/** Why a push or a handshake was refused: for the log and the operator, never for the sender. */
export type PushRefusal =
  /** The body is not XML or JSON as the protocol has it, or lacks what its kind needs. */
  | 'unparsable'
  /** The query lacks the signature, timestamp or nonce. */
  | 'query_missing'
  /** Signed with another Token, or changed on its way. */
  | 'signature'
  /** Encrypted with another key, or broken. */
  | 'decrypt'
  /** Encrypted for another appid. */
  | 'appid'
  /** Clear text came where the record says that it is encrypted. */
  | 'plaintext_refused'
  /** Nothing but ciphertext came where the record says that it is clear text. */
  | 'ciphertext_refused'
  /** No Token has been agreed with the sender yet. */
  | 'not_configured'
  /** XML came where JSON is agreed, or the other way round. */
  | 'format_refused';

/** A push that is not taken. What happened after the signature was checked looks the same from outside. */
export class PushError extends Error {
  override readonly name = 'PushError';

  constructor(readonly reason: PushRefusal) {
    super(`The push was refused: ${reason}.`);
  }

  /** The HTTP status to answer, with an empty body. */
  get status(): 400 | 403 {
    return this.reason === 'unparsable' || this.reason === 'format_refused' ? 400 : 403;
  }
}
