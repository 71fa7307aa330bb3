import type { BoxcarError, ErrorCode, RequestFacts, Side } from '../../errors.ts';

/** An error for programs, as `--json` and the json style tell it. */
export interface ErrorObject {
  code: ErrorCode;
  side: Side;
  message: string;
  hint?: string;
  request?: RequestFacts;
  /** Exit status of a command that ends with it. */
  exitCode: number;
}

export function errorObject(error: BoxcarError, exitCode: number = error.exitCode): ErrorObject {
  const { code, side, message, hint, request } = error;
  return {
    code,
    side,
    message,
    ...(hint !== undefined && { hint }),
    ...(request !== undefined && { request }),
    exitCode,
  };
}
