import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import pLimit from 'p-limit';
import { describeEachRegistry, kindsInShort, type RegistryKind } from '../../support/registries.ts';
import { long, tally } from '../tally.ts';
import { type Outcome, runCell, runCommand } from './cell.ts';
import { allCells, combination, nameOf, sample } from './cells.ts';
import { faultsPage } from './page.ts';
import { expected } from './rules.ts';
import { seededBy } from './seeded.ts';
import type { Disturbance } from './stands.ts';
import { createWorld, type World } from './world.ts';

/** Most of them wait most of the time. */
const atOnce = 10;
const combinations = long ? 400 : 6;
const seed = process.env.BOXCAR_SEED ?? '1';
/** Only the cells whose names match, all of them: `PATCH: 503`. */
const wanted = process.env.BOXCAR_CELLS;
/** Which exit statuses the command itself is asked for. */
const commanded = long
  ? /^(model info: 503|small file: a byte flipped|POST: 403|POST: 404, no such repository|PUT manifest: reset): always$/
  : /^(small file: a byte flipped|POST: 403): always$/;

/** The fault matrix on one registry: single faults, several in one push, and a few through the command. */
export function matrixOn(kind: RegistryKind): void {
  const suite = () => {
    let world: World;
    const counts = { single: 0, combined: 0, published: 0, refused: 0, wrong: 0 };
    before(async () => {
      world = await createWorld(kind);
    });
    after(async () => {
      await world.close();
      const part = long ? '' : ` (a sample, seed ${seed})`;
      tally(`faults-${kind}`, {
        what: `${counts.single} single faults and ${counts.combined} of several at once, at every step, ${kind}${part}`,
        result: `${counts.published} published rightly, ${counts.refused} refused with a message and nothing tagged, ${counts.wrong} wrong`,
        // The same page of either: what each cell comes to is the same table of rules.
        ...(kind === 'distribution-3' ? { page: { name: 'faults', text: faultsPage() } } : {}),
      });
    });

    const judge = (name: string, outcome: Outcome, end: string | undefined, all = true): string[] => {
      const wrong = [...outcome.wrong];
      if (outcome.end !== end) wrong.push(`${outcome.end} instead of ${end}`);
      if (all && outcome.notHappened > 0) wrong.push(`${outcome.notHappened} faults did not happen`);
      if (wrong.length > 0) counts.wrong += 1;
      else if (end === 'image') counts.published += 1;
      else counts.refused += 1;
      return wrong.map((what) => `${name}: ${what}${outcome.text ? `\n${outcome.text}` : ''}`);
    };
    const each = async <T>(cells: readonly T[], run: (cell: T) => Promise<string[]>): Promise<void> => {
      const limit = pLimit(atOnce);
      const wrong = await Promise.all(cells.map((cell) => limit(run, cell)));
      assert.deepEqual(wrong.flat(), []);
    };

    test('one fault', async () => {
      const chosen = wanted ? allCells.filter((cell) => new RegExp(wanted).test(nameOf(cell))) : undefined;
      const cells =
        chosen ?? (long ? allCells : sample(seededBy(`${seed} ${kind}`), kind === 'distribution-3'));
      counts.single = cells.length;
      await each(cells, async (cell) =>
        judge(nameOf(cell), await runCell(world, [cell]), expected(cell, kind)),
      );
    });

    test('several faults in one push', { skip: Boolean(wanted) }, async () => {
      const seeds = Array.from({ length: combinations }, (_, i) => `${seed} ${kind} ${i}`);
      counts.combined = seeds.length;
      await each(seeds, async (each) => {
        const cells = combination(seededBy(each));
        // Those after the first may find nothing to disturb: a fault can change the way of the push.
        return judge(
          `${each}: ${cells.map(nameOf).join(' + ')}`,
          await runCell(world, cells, 9),
          'image',
          false,
        );
      });
    });

    test('the command says it by its exit status', {
      skip: kind !== 'distribution-3' || Boolean(wanted),
    }, async () => {
      const cells = allCells.filter((cell) => commanded.test(nameOf(cell)));
      assert.ok(cells.length > 0);
      await each(cells as Disturbance[], async (cell) =>
        judge(`the command, ${nameOf(cell)}`, await runCommand(world, cell), expected(cell, kind)),
      );
    });
  };
  describeEachRegistry(
    'the fault matrix',
    suite,
    kindsInShort.filter((each) => each === kind),
  );
}
