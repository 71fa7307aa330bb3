/** What a fault can look at; the servers' log entries fit. */
interface Matchable {
  method: string;
  path: string;
  origin?: string;
  range?: string | undefined;
}

/** Every field given must fit; patterns are tried on the decoded path and on the Range field. */
interface Pattern {
  origin?: string;
  method?: string;
  path?: RegExp;
  range?: RegExp;
}

/** One misbehaviour on script: which requests, how many to let pass first, how many to hit, and what happens. */
export interface Fault<Request, Action> {
  /** Default: every request. */
  match?: Pattern | ((request: Request) => boolean);
  /** Matching requests before the first that is hit, whatever else hits those. Default 0. */
  skip?: number;
  /** How many requests are hit. Default 1; `Infinity` for all. */
  times?: number;
  action: Action;
}

/** How many requests each fault has matched, and how many of them it has hit. */
const counts = new WeakMap<object, { seen: number; hits: number }>();

/**
 * The action for this request, if a fault is due; the first in the array where several are. A fault that has been
 * used up leaves the array, so that `faults.length === 0` proves that everything on the script happened.
 *
 * `fits` says whether an action can have its effect on this answer at all (a cut after 5,000 bytes cannot on a
 * redirect); where it cannot, the fault is neither spent nor counted.
 */
export function takeFault<Request extends Matchable, Action>(
  faults: Fault<Request, Action>[],
  request: Request,
  fits: (action: Action) => boolean = () => true,
): Action | undefined {
  let due: Fault<Request, Action> | undefined;
  for (const fault of faults) {
    if (!matches(fault.match, request) || !fits(fault.action)) continue;
    const { seen, hits } = counts.get(fault) ?? { seen: 0, hits: 0 };
    const isDue = due === undefined && seen >= (fault.skip ?? 0);
    if (isDue) due = fault;
    counts.set(fault, { seen: seen + 1, hits: hits + (isDue ? 1 : 0) });
  }
  if (due && counts.get(due)?.hits === (due.times ?? 1)) {
    faults.splice(faults.indexOf(due), 1);
    counts.delete(due);
  }
  return due?.action;
}

function matches<Request extends Matchable>(
  match: Fault<Request, unknown>['match'],
  request: Request,
): boolean {
  if (match === undefined) return true;
  if (typeof match === 'function') return match(request);
  return (
    (match.origin === undefined || match.origin === request.origin) &&
    (match.method === undefined || match.method === request.method) &&
    (match.path === undefined || match.path.test(request.path)) &&
    (match.range === undefined || match.range.test(request.range ?? ''))
  );
}
