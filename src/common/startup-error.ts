import { inLang, type Text } from './text.js';

/** A reason why the service cannot start that the operator can remove: shown without a stack, exit code 1. */
export class StartupError extends Error {
  override readonly name = 'StartupError';

  constructor(reason: Text) {
    super(`${inLang(reason, 'zh-CN')}\n${inLang(reason, 'en')}`);
  }
}
