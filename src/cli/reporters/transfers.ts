import type { BoxcarError } from '../../errors.ts';
import type { PublishEvent } from '../../publish/events.ts';
import { Rate, secondsLeft } from './rate.ts';

export interface Retry {
  attempt: number;
  of: number;
  /** When the delay is over, ms. */
  until: number;
  error: BoxcarError;
}

/** One layer in flight, as far as the events tell it. */
export class Transfer {
  readonly path: string;
  /** Bytes of the layer. */
  readonly size: number;
  /** Bytes of the layer the registry was handed. */
  offset: number;
  /** When bytes moved last (or the layer started), ms. */
  movedAt: number;
  /** Set from a failed attempt until bytes move again. */
  retry: Retry | undefined;
  readonly rate: Rate;

  constructor(path: string, size: number, from: number, now: number) {
    this.path = path;
    this.size = size;
    this.offset = from;
    this.movedAt = now;
    this.rate = new Rate(now);
  }

  /** Goes to an offset and returns how many bytes that is; a registry that lost some sends it back, which is 0. */
  moveTo(offset: number, now: number): number {
    const moved = Math.max(0, offset - this.offset);
    this.offset = offset;
    if (moved === 0) return 0;
    this.movedAt = now;
    this.retry = undefined;
    this.rate.add(moved, now);
    return moved;
  }

  secondsLeft(now: number): number | undefined {
    return secondsLeft(this.size - this.offset, this.rate.perSecond(now));
  }
}

/** The whole publish, as far as the events tell it: what is in flight, what is settled, how fast it goes. */
export class Transfers {
  readonly inFlight = new Map<string, Transfer>();
  /** Layers of the plan; undefined before it is known. */
  planned: number | undefined;
  /** Layers that are done or have failed. */
  settled = 0;
  /** Bytes of all layers that can still end well. */
  size = 0;
  #settledBytes = 0;
  /** Bytes of each planned layer, by path. */
  readonly #sizes = new Map<string, number>();
  /** From the first layer in flight on: the time before it says nothing about speed. */
  #rate: Rate | undefined;

  apply(event: PublishEvent, now: number): void {
    if (event.type === 'planned') {
      this.planned = event.layers.length;
      this.size = event.size;
      for (const { path, size } of event.layers) this.#sizes.set(path, size);
    } else if (event.type === 'layer-started') {
      this.#start(event.path, event.size, event.from, now);
    } else if (event.type === 'layer-progress') {
      this.#rate?.add(this.inFlight.get(event.path)?.moveTo(event.offset, now) ?? 0, now);
    } else if (event.type === 'layer-retry') {
      // An upload that cannot even be opened is tried again before its layer has started.
      const { path, offset } = event;
      const transfer =
        this.inFlight.get(path) ?? this.#start(path, this.#sizes.get(path) ?? offset, offset, now);
      this.#rate?.add(transfer.moveTo(event.offset, now), now);
      const { attempt, of, error } = event;
      transfer.retry = { attempt, of, error, until: now + event.delayMs };
    } else if (event.type === 'layer-done') {
      this.#settle(event.result.path);
      this.#settledBytes += event.result.size;
    } else if (event.type === 'layer-failed') {
      this.#settle(event.path);
      this.size -= event.size;
    }
  }

  #start(path: string, size: number, from: number, now: number): Transfer {
    const transfer = new Transfer(path, size, from, now);
    this.#rate ??= new Rate(now);
    this.inFlight.set(path, transfer);
    return transfer;
  }

  #settle(path: string): void {
    this.inFlight.delete(path);
    this.settled++;
  }

  get allSettled(): boolean {
    return this.planned !== undefined && this.settled >= this.planned;
  }

  /** Bytes that are in the registry, those of layers in flight included. */
  get offset(): number {
    let sum = this.#settledBytes;
    for (const transfer of this.inFlight.values()) sum += transfer.offset;
    return sum;
  }

  perSecond(now: number): number {
    return this.#rate?.perSecond(now) ?? 0;
  }

  secondsLeft(now: number): number | undefined {
    return secondsLeft(this.size - this.offset, this.perSecond(now));
  }
}
