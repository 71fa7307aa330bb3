import type { RegistryKind } from '../../support/registries.ts';
import type { Disturbance } from './stands.ts';

/** `image`, or `exit N`; more than one where both are right. By registry where what it keeps of a cut upload decides. */
type End = string | Record<RegistryKind, string>;

/** What a push must come to. Patterns are of whole names. */
interface Rule {
  fault: string;
  step: string;
  once: End;
  always: End;
}

const rule = (fault: string, step: string, once: End, always: End = once): Rule => ({
  fault,
  step,
  once,
  always,
});

const metadata = 'model info|listing, .*';
const window = 'CDN, .*';
const hub = `${metadata}|resolve|${window}|small file|probe.*`;
const patch = 'PATCH|PATCH, next chunk';
const first = 'scheme probe|GET /v2/';
const any = '.*';
/** Of two registries, one keeps the bytes of a cut upload. */
const kept: End = { 'distribution-3': 'image', 'distribution-2': 'exit 6' };

/** The first that fits holds. `exit S` is 5 for the hub's side and 6 for the registry's. */
const rules: Rule[] = [
  rule('down for a while', any, 'image'),
  rule('down', any, 'exit S'),
  // What fails there harms nobody.
  rule(any, 'DELETE upload', 'image'),

  // The connection.
  rule('answer lost', `${patch}`, 'image', kept),
  rule('answer lost', 'PUT .*', 'image'),
  rule('reset|not HTTP|no answer|answer lost', any, 'image', 'exit S'),
  rule('trickle|more than Content-Length|long', any, 'image'),
  rule('cut at byte 0', patch, 'image', 'exit 6'),
  rule('cut .*', patch, 'image', kept),
  rule('chunked answer ends early', patch, 'image'),
  rule('cut in the middle|cut at the last byte', window, 'image'),
  rule('cut .*', 'PUT .*manifest|PUT further tag|token', 'image', 'exit 6'),
  // Of these only the head matters.
  rule('cut .*|stall|chunked answer ends early', `resolve|${first}|GET .*|HEAD .*|POST|PUT .*`, 'image'),
  rule('cut .*|stall|chunked answer ends early', any, 'image', 'exit S'),

  // Documents that are none.
  rule('half of the JSON', `${first}|GET manifest`, 'image'),
  rule('half of the JSON', any, 'image', 'exit S'),
  rule('JSON of another shape', first, 'image'),
  rule('JSON of another shape', any, 'image', 'exit S'),

  // Bytes that are wrong.
  rule('200 instead of 206', any, 'image'),
  rule('Content-Range of another size', 'CDN, first window|small file', 'image', 'exit 9'),
  rule('a byte flipped', hub, 'image', 'exit 9'),
  rule('a byte flipped', patch, 'image', 'exit 6'),
  rule('a byte flipped', 'PUT .*', 'image', 'exit 6'),
  rule("gzip'd 200|Content-Range .*|short", hub, 'image', 'exit 5'),

  // Answers that say what they mean: whoever asks again gets another.
  rule('408|425', first, 'image'),
  rule('500', 'GET upload', 'image'),
  rule('429, Retry-After an hour', any, 'exit S'),
  rule('403, rate limit', `${first}`, 'image'),
  rule('403, rate limit', 'GET upload', 'image'),
  rule('403, rate limit', any, 'image', 'exit 6'),
  rule('408|425|429.*|500|502.*|503|504|507|520', any, 'image', 'exit S'),

  // Of a redirect or a lie about the range the probe learns nothing; the bytes themselves are looked at later.
  rule('416.*|200, .*', 'probe.*', 'image'),

  // Refusals. Some registries refuse or do not know /v2/ although pushes work.
  rule('4..|4.., .*|416 .*|413 .*|20.|200, .*|30. .*', first, 'image'),
  rule('401, token expired', any, 'image', 'exit 3'),
  rule('401|403', window, 'image', 'exit 5'),
  rule('401|403', any, 'exit 3'),
  rule('404', `${metadata}|resolve|small file|probe.*`, 'exit 4'),
  rule('404, no such repository', 'GET .*|HEAD .*', 'image'),
  rule('404, no such repository', 'PUT layer|PUT config|PATCH.*', 'image', 'exit 4'),
  rule('404, no such repository', 'token', 'exit 6'),
  rule('404, no such repository', any, 'exit 4'),
  rule('404', 'GET manifest|GET upload|HEAD .*', 'image'),
  // The store's own trouble, never that of the user.
  rule('416.*|200, .*', `resolve|${window}|small file`, 'image', 'exit 9'),
  rule('4..|501', window, 'image', 'exit 5'),
  rule('20.|200, .*|30. .*', hub, 'image', 'exit 5'),
  rule('4..|416 .*|501', hub, 'exit 5'),
  // A session that is gone costs that layer alone; a body that is too large is sent in parts.
  rule('400|404|409|410|416.*|501|200, .*|204', 'GET upload', 'image'),
  rule('404|409|410', `${patch}|PUT layer|PUT config`, 'image', 'exit 6'),
  rule('400|416.*|501|413.*', 'PATCH', 'image', 'exit 6'),
  rule('400|416.*', 'PATCH, next chunk|PUT layer|PUT config', 'image', 'exit 6'),
  rule('501', 'PATCH, next chunk', 'image', 'exit 6'),
  // It is small and went whole into the PUT: once more, it is sent in a PATCH.
  rule('413.*|501', 'PUT config', 'image', 'exit 6'),
  // A yes, whatever it says.
  rule('20.|200, .*|30. .*', 'HEAD layer', 'image'),
  rule('416.*', 'HEAD layer', 'image', 'exit 6'),
  // Not what was asked for, and not a refusal: asked again.
  rule('200, .*', 'token|GET manifest', 'image', 'exit 6'),
  rule('307 to a dead port', 'token|GET manifest', 'image', 'exit 6'),
  rule('20.|200, .*|30. .*', 'POST', 'image', 'exit 6'),
  // A blob that is not there although that was said: the manifest is refused, and the blob sent once more.
  rule('201', 'PUT layer|PUT config', 'image', 'exit 6'),
  rule('20.|200, .*|30. .*', 'HEAD config', 'image', 'exit 6'),
  rule('20.|200, .*', `${patch}|GET upload|PUT .*`, 'image', 'exit 6'),
  rule('4..|413 .*|416 .*|501|20.|200, .*|30. .*', any, 'exit 6'),

  // The right answer in other words.
  rule('201 for what was done', 'GET upload', 'image', 'exit 6'),
  rule('20. for what was done', any, 'image'),
  rule('Location relative|Location of another origin|Range .*', any, 'image'),
  rule('Location garbage|Location leaves https', patch, 'image', kept),
  rule('Location .*', any, 'image', 'exit 6'),
  rule('another digest reported', any, 'image', 'exit 6'),
];

/** How this cell must end on that registry. */
export function expected({ step, fault, mode }: Disturbance, kind: RegistryKind): string | undefined {
  const found = rules.find((each) => fits(each.fault, fault.name) && fits(each.step, step.name));
  const end = found?.[mode];
  const text = typeof end === 'object' ? end[kind] : end;
  return text?.replace('exit S', step.side === 'hub' ? 'exit 5' : 'exit 6');
}

function fits(pattern: string, name: string): boolean {
  return new RegExp(`^(?:${pattern})$`).test(name);
}
