import { availableParallelism } from 'node:os';
import pLimit from 'p-limit';
import { Growth } from '../http/growth.ts';
import { type LayerPlan, layerSize } from '../layer/layer.ts';
import { wholeSize } from '../registry/upload-manner.ts';

const mib = 1024 * 1024;
/** Memory of the process, and what each worker adds to it (bench/NOTES.md), in bytes. */
const baseMemory = 120 * mib;
const workerMemory = 12 * mib;
/** Small layers in flight for each worker: they wait for answers most of their time. */
const smallAtOnce = 4;

/** Layers in flight: at first, and once more of them have turned out to bring more. */
export interface WorkerCount {
  first: number;
  most: number;
}

/** `auto`: as many as the cores keep busy and half of the memory that is free holds, from 4 on while more bring more. */
export function workerCount(
  choice: number | 'auto',
  machine = { cores: availableParallelism(), memory: process.availableMemory() },
): WorkerCount {
  if (choice !== 'auto') return { first: choice, most: choice };
  const held = Math.floor((machine.memory / 2 - baseMemory) / workerMemory);
  const most = Math.max(1, Math.min(32, 4 * machine.cores, held));
  return { first: Math.min(4, most), most };
}

/** Lets so many layers be transferred at a time; of small ones, which go beside the large, {@link smallAtOnce} times as many. */
export class Workers {
  readonly #growth: Growth;
  readonly #large;
  readonly #all;

  constructor({ first, most }: WorkerCount) {
    this.#growth = new Growth(first, most);
    this.#large = pLimit(first);
    this.#all = pLimit(first * smallAtOnce);
  }

  /** Transfers a layer when there is a worker for it. */
  run<T>(layer: LayerPlan, transfer: () => Promise<T>): Promise<T> {
    return layerSize(layer) > wholeSize ? this.#large(() => this.#all(transfer)) : this.#all(transfer);
  }

  /** So many bytes of any layer have been sent. */
  sent(bytes: number): void {
    this.#growth.took(bytes);
    this.#growth.look(() => this.#large.pendingCount > 0 || this.#all.pendingCount > 0);
    if (this.#growth.now === this.#large.concurrency) return;
    this.#large.concurrency = this.#growth.now;
    this.#all.concurrency = this.#growth.now * smallAtOnce;
  }
}
