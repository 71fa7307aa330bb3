import type { PublishEvent } from '../../publish/events.ts';
import { bytes, counted } from './format.ts';
import { plain } from './plain-text.ts';

export type Resolved = Extract<PublishEvent, { type: 'resolved' }>;
export type Planned = Extract<PublishEvent, { type: 'planned' }>;

/** `Qwen/Qwen2.5-7B-Instruct @ a09a35458c70  ->  registry.acme.com/models/qwen-7b:a09a35458c70` */
export function resolvedLine({ model, commit, target, tag }: Resolved): string {
  return `${plain(model)} @ ${plain(commit).slice(0, 12)}  ->  ${plain(`${target}:${tag}`)}`;
}

/** `14 files, 15.2 GB: 9 reused, 2 to mount, 3 to transfer (15.2 GB) · 4 workers · one stream a layer` */
export function plannedLine(planned: Planned): string {
  const { layers, size, reused, mounted, toTransfer, workers, firstWorkers, upload } = planned;
  const left = layers.length - reused - mounted;
  const mounts = mounted > 0 ? `${mounted} to mount, ` : '';
  const amount = left > 0 ? ` (${bytes(toTransfer)})` : '';
  const actions = `${reused} reused, ${mounts}${left} to transfer${amount}`;
  const plan = `${counted(layers.length, 'file')}, ${bytes(size)}: ${actions}`;
  const from = firstWorkers === undefined ? '' : `${firstWorkers} to `;
  return [plan, `${from}${counted(workers, 'worker')}`, plain(upload)].join(' · ');
}
