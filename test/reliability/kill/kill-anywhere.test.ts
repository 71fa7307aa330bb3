import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { describeEachRegistry, kindsInShort } from '../../support/registries.ts';
import { type Seeded, seededBy } from '../matrix/seeded.ts';
import { long, tally } from '../tally.ts';
import { DisturbedPublish } from './disturbed-publish.ts';
import {
  atBytes,
  atRename,
  atStep,
  firstOf,
  type KillPoint,
  type Signals,
  type Step,
  steps,
} from './kill-points.ts';

const mib = 1024 * 1024;
const seed = process.env.BOXCAR_TEST_SEED ?? 'boxcar';
/** A window of these files, and how many may be in flight, by the number of workers: four a file (src/hub/prefetch.ts). */
const windowSize = mib;
const windows: Record<number, number> = { 1: 4, 4: 16 };

const counts = { publishes: 0, kills: 0, steps: new Set<string>(), sent: 0, read: 0 };

describeEachRegistry(
  'a publish that is killed again and again',
  (kind) => {
    const keepsCut = kind === 'distribution-3';
    let publish: DisturbedPublish;
    before(async () => {
      publish = await DisturbedPublish.start(kind);
    });
    after(() => publish.stop());

    for (const workers of long ? [1, 4] : [4]) {
      test(`with ${workers} at a time`, async (t) => {
        t.diagnostic(`BOXCAR_TEST_SEED=${seed}`);
        const random = seededBy(`${seed} ${kind} ${workers}`);
        publish.begin(`killed-${workers}`, workers);
        let kills = 0;
        for (const choose of placesOf(random)) {
          const point = choose();
          const { reached } = await publish.run(point, drawSignals(random, point));
          if (!reached) continue;
          kills += 1;
          counts.steps.add(point.name);
        }
        const { ended } = await publish.run();
        assert.equal(ended.code, 0);
        publish.assertDone();

        const cost = publish.cost();
        t.diagnostic(`${kills} kills: ${JSON.stringify(cost)}`);
        assert.ok(kills >= (long ? 40 : 4), `only ${kills} points were reached`);
        const sentMore = 0.05 * cost.size + kills * mib + (keepsCut ? 0 : cost.lost);
        assert.ok(cost.sent <= sentMore, `${cost.sent} bytes were sent again, ${sentMore} are allowed`);
        // What a registry has dropped is read again as well.
        const readMore =
          0.1 * cost.size + kills * (windows[workers] as number) * windowSize + (keepsCut ? 0 : cost.lost);
        assert.ok(cost.read <= readMore, `${cost.read} bytes were read again, ${readMore} are allowed`);
        counts.publishes += 1;
        counts.kills += kills;
        counts.sent = Math.max(counts.sent, keepsCut ? cost.sent / cost.size : 0);
        counts.read = Math.max(counts.read, keepsCut ? cost.read / cost.size : 0);
      });
    }

    /** The places of one publish in the order in which it comes to them; each is chosen when its turn has come. */
    function placesOf(random: Seeded): (() => KillPoint)[] {
      const stepOf = (): Step => steps(publish.configDigest, publish.largeLayers);
      const at = (name: string, moment: Parameters<typeof atStep>[1]) => atStep(name, moment, stepOf);
      const all = ['arrived', 'answered', 'told'] as const;
      const drawn = <T>(choices: readonly T[], count: number): T[] =>
        random.shuffled(choices).slice(0, long ? choices.length : count);

      // Places before which a layer need not have come to its end, then those at its end.
      const onTheWay = [
        ...all.map((moment) => at('POST of a layer', moment)),
        at('PATCH of a layer', 'arrived'),
        at('GET of a layer', 'arrived'),
        at('GET of a layer', 'answered'),
        ...(['before', 'after'] as const).flatMap((moment) =>
          [1, 2, 5].map((count) => atRename(moment, count, 'state.json')),
        ),
      ];
      const atTheEnd = [
        at('PATCH of a layer', 'answered'),
        at('PATCH of a layer', 'told'),
        at('PUT of a large layer', 'arrived'),
        at('PUT of a large layer', 'told'),
        ...all.map((moment) => at('PUT of a layer', moment)),
      ];
      // The blob is there, its session gone, and nobody was told.
      const untold = at('PUT of a large layer', 'answered');
      const bytes = Array.from({ length: long ? 16 : 2 }, () => undefined);
      const way = random.shuffled([...drawn(onTheWay, 1), ...bytes]);
      // A place that does not come must not let the publish end before the others have had their turn.
      const layersDone = at('HEAD of the config', 'arrived');
      const placesOnTheWay = way.map((point, i) => () => {
        const most = span(way.length - i);
        const here = point ?? atBytes(1 + random.below(most));
        return firstOf(here, atBytes(most), layersDone);
      });
      const placesAtTheEnd = [untold, ...drawn(atTheEnd, 0)].map((point) => () => firstOf(point, layersDone));
      const ofConfig = ['POST of the config', 'PATCH of the config', 'PUT of the config'];
      const ofCommit = [
        at('HEAD of the config', 'answered'),
        ...ofConfig.flatMap((name) => all.map((moment) => at(name, moment))),
        ...['first', 'second', 'third'].flatMap((tag) =>
          (['arrived', 'answered'] as const).map((moment) => at(`PUT of ${tag}`, moment)),
        ),
      ];
      const chosen = new Set(drawn(ofCommit, 2));
      const placesInCommit = ofCommit.filter((point) => chosen.has(point)).map((point) => () => point);
      return [...placesOnTheWay, ...placesAtTheEnd, ...placesInCommit];
    }

    /** How far a run may come where `left` more of them are to be killed on their way: there must be bytes left for all. */
    function span(left: number): number {
      // Only whole layers are progress where a cut session is dropped: now and then a longer way.
      if (!keepsCut) return (left % 4 === 0 ? 30 : 6) * mib;
      const missing = Math.max(0, -publish.cost().sent);
      return Math.ceil(Math.max(mib / 4, Math.min(6 * mib, missing / left)));
    }

    /** SIGKILL mostly. A process that ends by itself at a rename has no choice, and one that is asked to may end well in a commit. */
    function drawSignals(random: Seeded, { name, env }: KillPoint): Signals {
      const draw = random.below(100);
      if (env || draw < 70 || /config|first|second/.test(name)) return 'SIGKILL';
      return draw < 85 ? 'SIGTERM' : 'SIGTERM, then SIGKILL';
    }
  },
  kindsInShort,
);

after(() => {
  const { publishes, kills, steps, sent, read } = counts;
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  tally('kill', {
    what: `${kills} kills at ${steps.size} kinds of places in ${publishes} publishes, on 2 registries`,
    result: `every image right, no tag before its image; on distribution 3 ${percent(sent)} sent and ${percent(read)} read again at most`,
  });
});
