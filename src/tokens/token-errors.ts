/** No token can be had for the appid: we hold none, or the account's authorization has ended. */
export class TokenMissingError extends Error {
  override readonly name = 'TokenMissingError';

  constructor(readonly appid: string) {
    super(`There is no token for ${appid}.`);
  }
}

/** WeChat takes none of our credentials for the account: its administrator has to authorize us again. */
export class ReauthorizationRequiredError extends Error {
  override readonly name = 'ReauthorizationRequiredError';

  constructor(readonly appid: string) {
    super(`${appid} has to authorize us again.`);
  }
}

/** There will be a token, but not now: refreshing fails, or another process has not come to an end with it. */
export class TokenUnavailableError extends Error {
  override readonly name = 'TokenUnavailableError';

  constructor(
    readonly appid: string,
    /** No secret. */
    readonly reason: string,
  ) {
    super(`No token for ${appid} now: ${reason}.`);
  }
}
