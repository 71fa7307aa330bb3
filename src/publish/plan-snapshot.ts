import { layerCountWarning, type Plan, planModelcar } from '../formats/modelcar.ts';
import { selectFiles } from '../formats/selection.ts';
import { keepWeights, possibleSavings, savingNotice } from '../formats/weights.ts';
import type { Hub } from '../hub/hub.ts';
import type { ModelFile, Snapshot } from '../hub/model-file.ts';
import { takeSnapshot } from '../hub/snapshot.ts';
import { limitsOf, standard } from '../registry/dialects.ts';
import { info, warning } from './events.ts';
import { fileOpener, firstPiece } from './model-source.ts';
import type { CheckedOptions } from './options.ts';
import { knownDialect } from './parties.ts';
import { checkLimits, denyUnsafe } from './policy.ts';

/** The model at its commit, and what of it becomes which layers. @throws BoxcarError for what is refused by policy. */
export async function planSnapshot(
  checked: CheckedOptions,
  hub: Hub,
): Promise<{ snapshot: Snapshot & { gated: boolean }; plan: Plan }> {
  const { model, revision, include, exclude, weights, prefix, platform, denyUnsafe: scans, emit } = checked;
  const snapshot = await takeSnapshot(hub, model, revision, { scans, signal: checked.signal });
  const filtered = selectFiles(snapshot.files, { include, exclude });
  const files = weights === 'all' ? filtered : keepWeights(filtered, weights);
  const [best] = weights === 'all' ? possibleSavings(files).sort((a, b) => b.bytes - a.bytes) : [];
  if (scans) {
    const open = fileOpener(hub, snapshot, 1);
    const head = ({ path }: ModelFile) => firstPiece(open, path, 0, checked.signal);
    await denyUnsafe(files, head, (message) => emit(warning(message)));
  }
  const plan = await planModelcar({ ...snapshot, files }, { prefix, platform });
  if (best) emit(info(savingNotice(best)));
  const many = layerCountWarning(plan);
  if (many) emit(warning(many));
  const { target } = checked;
  const { dialect = standard } = knownDialect(checked) ?? {};
  if (target.kind !== 'layout') checkLimits(plan, limitsOf(dialect), target.registry);
  return { snapshot, plan };
}
