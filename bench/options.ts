import { parseArgs } from 'node:util';
import { contenders } from './contenders/contenders.ts';

/** What is measured: each is a table of its own. */
export const benchCases = ['speed', 'reuse'] as const;
export type BenchCase = (typeof benchCases)[number];

export const usage = `npm run bench -- [options]

  --files N       files of the model (4)
  --size-mib N    size of each, in MiB (400)
  --rounds N      runs of each contender, in turn (3)
  --workers N     files in flight (4)
  --case a,b      only these tables: ${benchCases.join(', ')}
  --only a,b      of the speed table only these of: ${contenders.map(({ name }) => name).join(', ')}
  --dir DIR       where the registry's storage is made, and removed (the system's temporary directory)
  --json          one JSON object on stdout instead of the table
  --write-readme  also put the table into README.md`;

export interface BenchOptions {
  files: number;
  sizeMib: number;
  rounds: number;
  workers: number;
  cases: readonly BenchCase[];
  only: string[] | undefined;
  dir: string | undefined;
  json: boolean;
  writeReadme: boolean;
}

/** @throws when an option is unknown or its value makes no sense; `undefined` when help is wanted. */
export function readOptions(args: string[]): BenchOptions | undefined {
  const { values } = parseArgs({
    args,
    options: {
      files: { type: 'string', default: '4' },
      'size-mib': { type: 'string', default: '400' },
      rounds: { type: 'string', default: '3' },
      workers: { type: 'string', default: '4' },
      case: { type: 'string', default: benchCases.join() },
      only: { type: 'string' },
      dir: { type: 'string' },
      json: { type: 'boolean', default: false },
      'write-readme': { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return undefined;
  const only = values.only?.split(',');
  const unknown = only?.find((name) => !contenders.some((contender) => contender.name === name));
  if (unknown !== undefined) throw new Error(`--only: there is no contender ${unknown}`);
  const cases = values.case.split(',').map((name) => {
    const found = benchCases.find((each) => each === name);
    if (!found) throw new Error(`--case: there is no case ${name}`);
    return found;
  });
  return {
    cases,
    files: whole('files', values.files),
    sizeMib: whole('size-mib', values['size-mib']),
    rounds: whole('rounds', values.rounds),
    workers: whole('workers', values.workers),
    only,
    dir: values.dir,
    json: values.json,
    writeReadme: values['write-readme'],
  };
}

function whole(name: string, text: string): number {
  if (!/^[1-9]\d{0,6}$/.test(text)) throw new Error(`--${name} must be a whole number from 1 on`);
  return Number(text);
}
