import { parseArgs } from 'node:util';
import { cases } from './cases/cases.ts';
import { contenders } from './contenders/contenders.ts';

const names = [...cases.map(({ name }) => name), 'reuse'];
/** What the goals are about, in MiB. */
const fullSizeMib = 400;

export const usage = `npm run bench -- [options]

  --case a,b      only these: ${names.join(', ')}
  --only a,b      beside each other only these: ${contenders.map(({ name }) => name).join(', ')}
  --rounds N      runs of everybody, in turn (3)
  --workers N     files in flight (4)
  --files N       large files of the model (4)
  --size-mib N    size of each, in MiB (${fullSizeMib}); with less all cases have less to do, as a trial
  --dir DIR       where the registry's storage is made, and removed (the system's temporary directory);
                  /dev/shm, where it has 7 GB free, leaves the disk out of what is measured
  --json          one JSON object on stdout instead of the tables
  --write-readme  also put the tables into README.md and docs/speed.md, and the plot into docs/speed.svg`;

export interface BenchOptions {
  cases: string[];
  only: string[] | undefined;
  rounds: number;
  workers: number;
  files: number;
  sizeMib: number;
  /** Of the sizes and numbers of files that the goals are about. */
  scale: number;
  dir: string | undefined;
  json: boolean;
  writeReadme: boolean;
}

/** @throws when an option is unknown or its value makes no sense; `undefined` when help is wanted. */
export function readOptions(args: string[]): BenchOptions | undefined {
  const { values } = parseArgs({
    args,
    options: {
      case: { type: 'string', default: names.join() },
      only: { type: 'string' },
      rounds: { type: 'string', default: '3' },
      workers: { type: 'string', default: '4' },
      files: { type: 'string', default: '4' },
      'size-mib': { type: 'string', default: `${fullSizeMib}` },
      dir: { type: 'string' },
      json: { type: 'boolean', default: false },
      'write-readme': { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return undefined;
  const sizeMib = whole('size-mib', values['size-mib']);
  return {
    cases: known('case', values.case, names),
    only:
      values.only === undefined
        ? undefined
        : known(
            'only',
            values.only,
            contenders.map(({ name }) => name),
          ),
    rounds: whole('rounds', values.rounds),
    workers: whole('workers', values.workers),
    files: whole('files', values.files),
    sizeMib,
    scale: Math.min(1, sizeMib / fullSizeMib),
    dir: values.dir,
    json: values.json,
    writeReadme: values['write-readme'],
  };
}

function known(option: string, list: string, names: string[]): string[] {
  const given = list.split(',');
  const unknown = given.find((name) => !names.includes(name));
  if (unknown !== undefined) throw new Error(`--${option}: there is no ${unknown}, but ${names.join(', ')}`);
  return given;
}

function whole(name: string, text: string): number {
  if (!/^[1-9]\d{0,6}$/.test(text)) throw new Error(`--${name} must be a whole number from 1 on`);
  return Number(text);
}
