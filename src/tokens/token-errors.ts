import { AppError } from '../common/app-error.js';

/** No token can be had for the appid: we hold none, or the account's authorization has ended. */
export class TokenMissingError extends AppError {
  constructor(readonly appid: string) {
    super('account_not_authorized');
  }
}

/** WeChat takes none of our credentials for the account: its administrator has to authorize us again. */
export class ReauthorizationRequiredError extends AppError {
  constructor(readonly appid: string) {
    super('reauthorization_required');
  }
}

/** There will be a token, but not now: refreshing fails, or another process has not come to an end with it. */
export class TokenUnavailableError extends AppError {
  /** @param reason for the log; no secret */
  constructor(
    readonly appid: string,
    reason: string,
  ) {
    super('token_unavailable');
    this.message = `No token for ${appid} now: ${reason}.`;
  }
}
