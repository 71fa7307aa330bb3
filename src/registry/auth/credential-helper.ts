import { execFile } from 'node:child_process';
import { BoxcarError, printable } from '../../errors.ts';

/** How long a helper may take, in ms: some ask a cloud's metadata service, some the user. */
const helperMs = 60_000;

/** A helper that has ended may have left a program behind that keeps its output open (an agent): not longer than this, in ms. */
const lastWordsMs = 500;

/** What a helper gave. User name `<token>` means that the secret is an identity token. */
export interface HelperAnswer {
  username: string;
  secret: string;
}

export interface HelperQuestion {
  /** `docker-credential-<name>` is run. */
  name: string;
  /** As `docker login` stored it: a host, or Docker Hub's URL. */
  server: string;
  /** Where the helper is named, for messages. */
  configured: string;
  env: NodeJS.ProcessEnv;
  signal?: AbortSignal | undefined;
  /** Default: a minute. */
  limitMs?: number | undefined;
}

/**
 * Runs `docker-credential-<name> get` (docker/docker-credential-helpers, "Development"; client.Get): the server on stdin,
 * JSON on stdout. What a helper says when it fails is not repeated, for nobody knows what is in it.
 * @returns `undefined` when the helper has nothing for that server.
 * @throws BoxcarError `usage` that names the binary when it is missing or fails; the signal's reason when stopped.
 */
export async function askHelper(question: HelperQuestion): Promise<HelperAnswer | undefined> {
  const { name, server, signal, limitMs = helperMs } = question;
  const binary = `docker-credential-${name}`;
  // It is looked up on PATH: a path would name any program.
  if (!/^[\w.+-]+$/.test(name))
    throw failed(question, `${JSON.stringify(printable(name))} is no name of a credential helper`);
  signal?.throwIfAborted();
  const limit = AbortSignal.timeout(limitMs);
  const { error, stdout } = await run(binary, question, signal ? AbortSignal.any([signal, limit]) : limit);
  if (!error) return answerOf(stdout, question);
  signal?.throwIfAborted();
  // credentials.ErrCredentialsNotFound: helpers print it on stdout and exit with 1.
  if (stdout.trim() === 'credentials not found in native keychain') return undefined;
  if (error.code === 'ENOENT') throw failed(question, `the credential helper ${binary} is not on PATH`);
  if (limit.aborted) {
    throw failed(question, `the credential helper ${binary} did not answer within ${limitMs / 1000} s`);
  }
  const how = error.signal ? `was ended by ${error.signal}` : `failed (${error.code ?? 'no reason'})`;
  throw failed(
    question,
    `the credential helper ${binary} ${how}`,
    `echo ${printable(server)} | ${binary} get`,
  );
}

type Failure = Error & { code?: string | number; signal?: string };

function run(
  binary: string,
  { server, env }: HelperQuestion,
  signal: AbortSignal,
): Promise<{ error: Failure | null; stdout: string }> {
  return new Promise((resolve) => {
    const child = execFile(binary, ['get'], { env, maxBuffer: 1024 * 1024 }, (error, stdout) => {
      signal.removeEventListener('abort', stop);
      resolve({ error: error as Failure | null, stdout });
    });
    const letGo = () => {
      for (const pipe of [child.stdin, child.stdout, child.stderr]) pipe?.destroy();
    };
    // SIGKILL: one that hangs, or ignores SIGTERM, must not keep this process alive.
    const stop = () => {
      child.kill('SIGKILL');
      letGo();
    };
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    child.once('exit', () => setTimeout(letGo, lastWordsMs).unref());
    // A helper that ends without reading is judged by its status, not by the broken pipe.
    child.stdin?.on('error', () => {});
    child.stdin?.end(server);
  });
}

function answerOf(stdout: string, question: HelperQuestion): HelperAnswer | undefined {
  let answer: { Username?: unknown; Secret?: unknown } | null | undefined;
  try {
    answer = JSON.parse(stdout);
  } catch {
    // Told below, without its words: they may hold the secret.
  }
  const { Username: username, Secret: secret } = answer ?? {};
  if (typeof username !== 'string' || typeof secret !== 'string') {
    throw failed(
      question,
      `the credential helper docker-credential-${question.name} gave no user name and secret`,
    );
  }
  // Some say so that they have nothing.
  return username === '' && secret === '' ? undefined : { username, secret };
}

function failed({ configured }: HelperQuestion, message: string, seeWhy?: string): BoxcarError {
  const see = seeWhy ? `; its own words: ${seeWhy}` : '';
  return new BoxcarError(message, {
    code: 'usage',
    side: 'local',
    hint: `it is named in ${configured}: install or mend it, remove it there, or set OCI_USERNAME and OCI_PASSWORD${see}`,
  });
}
