import type { LayerResult, PublishEvent } from '../../publish/events.ts';
import { errorSummary } from './error-text.ts';
import { bytes, bytesOf, delay, duration, percent, speed } from './format.ts';
import { plain } from './plain-text.ts';
import type { Transfer } from './transfers.ts';

/** A transfer over less than this many bytes has no speed worth telling. */
const telling = 1_000_000;

/** From this long (s) without a byte on, that is what there is to tell. */
const quietAfter = 2;

/** How a layer got there: `reused from :a1b2c3d4e5f6`, `3.6 GB in 17 s (212 MB/s)`. `gap` stands before the speed. */
export function doneText(result: LayerResult, source: string | undefined, gap = ' '): string {
  const { outcome, size, bytesSent, seconds } = result;
  const from = source === undefined ? '' : ` from ${plain(source)}`;
  if (outcome === 'reused') return `reused${from}`;
  if (outcome === 'mounted') return `mounted${from}, ${bytes(size)}`;
  const pace = bytesSent >= telling && seconds > 0 ? `${gap}(${speed(bytesSent / seconds)})` : '';
  const amount = outcome === 'resumed' ? `the last ${bytes(bytesSent)} of ${bytes(size)}` : bytes(size);
  return `${amount} in ${duration(seconds)}${pace}`;
}

/** `retry 1 of 10 in 2.1 s at 1.0 GB: the hub closed the connection (GET cdn.hf.co, 206)` */
export function retryText(event: Extract<PublishEvent, { type: 'layer-retry' }>): string {
  const { attempt, of, delayMs, offset, error } = event;
  return `retry ${attempt} of ${of} in ${delay(delayMs)} at ${bytes(offset)}: ${errorSummary(error)}`;
}

/** `62 % (2.4/3.9 GB) 208 MB/s, 7 s left`, or what it is waiting for. */
export function progressText(transfer: Transfer, now: number): string {
  const { offset, size } = transfer;
  return `${percent(offset, size)} % (${bytesOf(offset, size)}) ${paceText(transfer, now)}`;
}

function paceText(transfer: Transfer, now: number): string {
  const waiting = waitingText(transfer, now);
  if (waiting !== undefined) return waiting;
  const left = transfer.secondsLeft(now);
  const pace = speed(transfer.rate.perSecond(now));
  return left === undefined ? pace : `${pace}, ${duration(Math.ceil(left))} left`;
}

/** Why no bytes move; undefined when they do. */
function waitingText({ retry, offset, size, movedAt }: Transfer, now: number): string | undefined {
  if (retry) {
    const which = `retry ${retry.attempt} of ${retry.of}`;
    const wait = retry.until - now;
    return wait > 0 ? `waiting ${delay(wait)} for ${which}` : `${which} has begun`;
  }
  const seconds = (now - movedAt) / 1000;
  if (offset >= size) return `all sent, waiting for the registry for ${duration(seconds)}`;
  return seconds >= quietAfter ? `nothing moved for ${duration(seconds)}` : undefined;
}
