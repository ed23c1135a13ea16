import { EnvError } from '../../config/env.js';
import { errorCode } from './error-code.js';
import { StartupError } from './startup-error.js';

/** Runs a program's main. What the operator can put right is said in words, without a stack; the exit code is 1. */
export async function runOrExplain(main: () => Promise<void>): Promise<void> {
  try {
    await main();
  } catch (error) {
    const isExplained = error instanceof EnvError || error instanceof StartupError;
    process.stderr.write(`${isExplained ? error.message : explainUnknown(error)}\n`);
    process.exit(1);
  }
}

function explainUnknown(error: unknown): string {
  if (errorCode(error) === 'EADDRINUSE') {
    return '端口已被占用，请停止占用它的进程，或设置 PORT。\nThe port is in use: stop the process that has it, or set PORT.';
  }
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
