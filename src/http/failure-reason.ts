import type { BoxcarError } from '../errors.ts';
import { innermost } from './failure.ts';
import { StallError } from './stall.ts';

/**
 * Why an attempt failed, as one of few words that can be counted: the status of a refusal, silence, a connection that
 * broke or did not come to be, a name that was not found, bytes that were not the right ones, an answer out of turn.
 */
export type FailureReason = `status_${number}` | 'stall' | 'connection' | 'dns' | 'content' | 'answer';

export function failureReason(error: BoxcarError): FailureReason {
  const { code, request, cause } = error;
  const status = request?.status ?? 0;
  if (code === 'content-mismatch') return 'content';
  if (cause === undefined) return status >= 400 && status < 600 ? `status_${status}` : 'answer';
  const reason = innermost(cause);
  if (reason instanceof StallError) return 'stall';
  return ['ENOTFOUND', 'EAI_AGAIN'].includes(reason.code ?? '') ? 'dns' : 'connection';
}
