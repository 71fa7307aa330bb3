import { Command, InvalidArgumentError, Option } from 'commander';
import { BoxcarError } from '../errors.ts';
import { splitPatterns } from '../formats/selection.ts';
import { weightFormats } from '../formats/weights.ts';
import type { PushOptions, ShardOptions } from '../publish/options.ts';
import { dialectNames } from '../registry/dialects.ts';

/** What the options of `boxcar push` come to, beside what the library is asked. */
export interface PushCommandOptions {
  push: PushOptions & Partial<ShardOptions>;
  /** Files written beside: metrics for Prometheus, a trace. */
  metricsFile: string | undefined;
  trace: string | undefined;
  dryRun: boolean;
  json: boolean;
  logStyle: 'auto' | 'tty' | 'text' | 'azure' | 'github' | 'json';
  quiet: boolean;
  verbose: boolean;
}

const examples = `
Examples:
  boxcar push Qwen/Qwen2.5-0.5B-Instruct registry.example.com/models/qwen
  boxcar push org/name@v1.0 localhost:5000/models/name --also-tag latest
  boxcar push org/name oci:./image --weights safetensors

Credentials: the registry's from OCI_USERNAME and OCI_PASSWORD, else from Docker's or Podman's login;
the hub's token from HF_TOKEN or its login. Proxies and certificates from HTTPS_PROXY, NO_PROXY,
NODE_EXTRA_CA_CERTS and SSL_CERT_FILE.

Exit status: 0 done, 1 unexpected, 2 usage, 3 not authorised, 4 not found, 5 the hub failed, 6 the registry failed,
7 some layers failed, 8 the tag points elsewhere, 9 content is not what the hub recorded, 130/143 stopped and saved.`;

/** The commands that take a model and a target, with the same options. */
const commands = {
  push: 'Stream a Hugging Face model into an OCI registry, one tar layer a file; run it again to go on.',
  plan: 'Say what a push would do with each layer, and why; touch nothing.',
  finalize: 'Tag the image whose layers the shards of a push have brought (exit 7 where some are missing).',
} as const;

export type CommandName = keyof typeof commands;

/** One of them, without its action. */
export function pushCommand(name: CommandName = 'push'): Command {
  return new Command(name)
    .description(commands[name])
    .usage('<model> <target> [options]')
    .argument('[model]', 'org/name, org/name@revision, hf://org/name@revision, or the URL of its page')
    .argument('[target]', 'registry[:port]/repository[:tag], or oci:DIRECTORY[:tag]')
    .addOption(new Option('--hf-repo <name>', 'the model').env('HF_REPO'))
    .addOption(
      new Option('--hf-revision <revision>', 'branch, tag or commit (default: main)').env('HF_REVISION'),
    )
    .addOption(new Option('--hf-endpoint <url>', 'a mirror of the hub').env('HF_ENDPOINT'))
    .addOption(new Option('--registry <host>', "the target's registry").env('REGISTRY'))
    .addOption(new Option('--target-repo <path>', "the target's repository").env('TARGET_REPO'))
    .addOption(
      new Option('--target-tag <tag>', "the image's tag (default: first 12 digits of the commit)").env(
        'TARGET_TAG',
      ),
    )
    .addOption(
      listOption('--also-tag <tags>', 'more tags, written after the first; these move').env('ALSO_TAG'),
    )
    .addOption(listOption('--include <globs>', 'only these paths').env('ALLOW_PATTERNS'))
    .addOption(listOption('--exclude <globs>', 'not these paths').env('IGNORE_PATTERNS'))
    .addOption(listOption('--allow-patterns <globs>', 'the same as --include').hideHelp())
    .addOption(listOption('--ignore-patterns <globs>', 'the same as --exclude').hideHelp())
    .addOption(
      new Option('--weights <format>', 'keep one of several weight formats')
        .choices(['all', ...weightFormats])
        .default('all')
        .env('WEIGHTS'),
    )
    .addOption(
      new Option('--layer-prefix <dir>', 'directory in the image').default('models/').env('LAYER_PREFIX'),
    )
    .addOption(new Option('--platform <os/arch>', 'platform of the image').default('linux/amd64'))
    .addOption(
      new Option(
        '--workers <n>',
        'layers in flight, 1 to 32; auto: by cores, memory and what more of them bring',
      )
        .argParser((text) => (text === 'auto' ? text : wholeNumber(text, 'a whole number, or auto')))
        .default(4)
        .env('WORKERS'),
    )
    .addOption(
      new Option(
        '--bandwidth <rate>',
        'at most so many bytes a second from the hub, and as many to the registry: 200M (K, M, G: thousands; KiB, MiB, GiB), or by direction: down=200M,up=50M (default: no cap)',
      ).env('BANDWIDTH'),
    )
    .addOption(
      new Option('--upload <manner>', 'how bytes are sent')
        .choices(['auto', 'stream', 'chunked'])
        .default('auto')
        .env('UPLOAD'),
    )
    .addOption(
      numberOption(
        '--chunk-mib <n>',
        "size of an upload's chunks in MiB, one held in memory by each worker (default: 16, less with more than 8 workers)",
      ).env('CHUNK_MIB'),
    )
    .addOption(
      new Option('--dialect <name>', 'what the registry is taken for (default: found out)')
        .choices(['auto', ...dialectNames])
        .env('OCI_DIALECT'),
    )
    .addOption(
      new Option('--state-file <path>', 'where progress is kept (default: a file of its own)').env(
        'STATE_FILE',
      ),
    )
    .addOption(
      new Option(
        '--state <where>',
        'file, or registry: beside the image, so that any machine can go on',
      ).choices(['file', 'registry']),
    )
    .option('--no-state', 'keep no progress')
    .addOption(listOption('--reuse-from <images>', 'images on the registry whose layers are looked at first'))
    .addOption(
      listOption(
        '--mount-from <repositories>',
        'other repositories of the registry with images of the model',
      ),
    )
    .addOption(new Option('--check', 'ask for every blob of an image that is there already'))
    .addOption(new Option('--shard <i/n>', 'bring one part of the layers: 1/8 to 8/8, or 0/8 to 7/8'))
    .addOption(new Option('--finalize-last', 'with --shard: whoever finds that all are done tags the image'))
    .addOption(
      numberOption('--hf-max-retries <n>', 'attempts in a row without progress')
        .default(10)
        .env('HF_MAX_RETRIES'),
    )
    .addOption(
      numberOption('--oci-max-retries <n>', 'attempts in a row without progress')
        .default(10)
        .env('OCI_MAX_RETRIES'),
    )
    .addOption(
      numberOption('--stall-seconds <n>', 'no byte moving for so long is a stall')
        .default(30)
        .env('STALL_SECONDS'),
    )
    .option(
      '--no-verify-content',
      'trust the hub: large files are not compared with what it recorded of them (less CPU)',
    )
    .addOption(new Option('--fail-fast', 'one failed layer stops the others (default)').env('FAIL_FAST'))
    .addOption(new Option('--continue-on-error', 'finish the other layers first').conflicts('failFast'))
    .addOption(
      new Option('--force', 'move a tag that points elsewhere; where it points here, transfer again').env(
        'FORCE',
      ),
    )
    .addOption(
      new Option('--deny-unsafe', "refuse pickles and files that the hub's scanners flag").env('DENY_UNSAFE'),
    )
    .option('--dry-run', 'resolve, plan, print; touch nothing')
    .option('--plain-http', 'speak http to the registry (tried by itself on loopback)')
    .addOption(
      new Option('--log-style <style>', 'how progress is told, on stderr')
        .choices(['auto', 'tty', 'text', 'azure', 'github', 'json'])
        .default('auto')
        .env('LOG_STYLE'),
    )
    .option('--json', 'one JSON object on stdout')
    .addOption(
      new Option(
        '--metrics-file <path>',
        "the run in numbers, for the textfile collector of Prometheus' node exporter (a name in .prom)",
      ).env('METRICS_FILE'),
    )
    .option('--trace <path>', 'what each layer waited for and when, for ui.perfetto.dev or chrome://tracing')
    .addOption(new Option('--quiet', 'warnings and errors only').env('LOG_QUIET'))
    .addOption(new Option('--verbose', 'also where credentials and state come from').env('LOG_VERBOSE'))
    .addHelpText('after', examples);
}

const switches = ['FAIL_FAST', 'FORCE', 'DENY_UNSAFE', 'LOG_QUIET', 'LOG_VERBOSE'];

/**
 * CI systems set variables to nothing, and switches to words: what means no is taken away before commander, for which
 * any value means yes. `FAIL_FAST=false` is `--continue-on-error`.
 */
export function cleanEnvironment(env: NodeJS.ProcessEnv): { continueOnError: boolean } {
  const off = (name: string) => /^(0|false|no|off)$/i.test(env[name] ?? '');
  const continueOnError = off('FAIL_FAST');
  const names = pushCommand().options.map((option) => option.envVar);
  for (const name of names) {
    if (name && (env[name] === '' || (switches.includes(name) && off(name)))) delete env[name];
  }
  return { continueOnError };
}

/** @throws BoxcarError `usage`. */
export function readOptions(
  command: Command,
  positional: (string | undefined)[],
  defaults: { continueOnError: boolean },
): PushCommandOptions {
  const given = command.opts();
  const [model, target] = placed(positional, given);
  return {
    push: {
      model,
      target,
      revision: given.hfRevision,
      hfEndpoint: given.hfEndpoint,
      tag: given.targetTag,
      alsoTags: given.alsoTag,
      include: [...(given.include ?? []), ...(given.allowPatterns ?? [])],
      exclude: [...(given.exclude ?? []), ...(given.ignorePatterns ?? [])],
      weights: given.weights,
      layerPrefix: given.layerPrefix,
      platform: given.platform,
      workers: given.workers,
      verifyContent: given.verifyContent,
      bandwidth: given.bandwidth,
      upload: given.upload,
      chunkMib: given.chunkMib,
      dialect: given.dialect,
      stallMs: given.stallSeconds * 1000,
      denyUnsafe: given.denyUnsafe,
      stateFile: given.state === false ? false : given.stateFile,
      state: given.state === false ? undefined : given.state,
      reuseFrom: given.reuseFrom,
      mountFrom: given.mountFrom,
      check: given.check,
      shard: given.shard,
      finalizeLast: given.finalizeLast,
      hfMaxRetries: given.hfMaxRetries,
      ociMaxRetries: given.ociMaxRetries,
      failFast: !(given.continueOnError ?? (given.failFast ? false : defaults.continueOnError)),
      force: given.force,
      plainHttp: given.plainHttp,
    },
    metricsFile: given.metricsFile,
    trace: given.trace,
    dryRun: given.dryRun ?? false,
    json: given.json ?? false,
    logStyle: given.logStyle,
    quiet: given.quiet ?? false,
    verbose: given.verbose ?? false,
  };
}

/** Model and target, each from its argument or its options; a lone argument beside `--hf-repo` is the target. */
function placed(
  positional: (string | undefined)[],
  given: Record<string, string | undefined>,
): [string, string] {
  const args = positional.filter((arg) => arg !== undefined);
  if (args.length === 1 && given.hfRepo !== undefined) args.unshift(given.hfRepo);
  const [model = given.hfRepo, argument] = args;
  const { registry, targetRepo } = given;
  if (registry !== undefined && targetRepo === undefined && argument === undefined)
    throw missing('--target-repo');
  const target = argument ?? (targetRepo === undefined ? undefined : joined(registry, targetRepo));
  if (!model) throw missing('<model>');
  if (!target) throw missing('<target>');
  return [model, target];
}

function joined(registry: string | undefined, repository: string): string {
  if (registry === undefined) return repository;
  return `${registry.replace(/\/+$/, '')}/${repository.replace(/^\/+/, '')}`;
}

function missing(what: string): BoxcarError {
  return new BoxcarError(`${what} is missing`, {
    code: 'usage',
    side: 'local',
    hint: 'boxcar push <model> <target>, for example: boxcar push org/name registry.example.com/models/name',
  });
}

/** Repeatable, or comma-separated. */
function listOption(flags: string, description: string): Option {
  return new Option(flags, description).argParser((text: string, before: string[] | undefined) => [
    ...(before ?? []),
    ...splitPatterns(text),
  ]);
}

function numberOption(flags: string, description: string): Option {
  return new Option(flags, description).argParser((text) => wholeNumber(text));
}

function wholeNumber(text: string, what = 'a whole number'): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError(`It must be ${what}.`);
  return Number(text);
}
