import { execFile } from 'node:child_process';
import { BoxcarError, printable } from '../../errors.ts';

/** How long a helper may take, in ms: some ask a cloud's metadata service. */
const helperMs = 60_000;

/** What a helper gave. User name `<token>` means that the secret is an identity token. */
export interface HelperAnswer {
  username: string;
  secret: string;
}

/**
 * Runs `docker-credential-<name> get` (docker/docker-credential-helpers, "Development"): the server on stdin, JSON on stdout.
 * @param configured where the helper is named, for messages.
 * @returns `undefined` when the helper has nothing for that server.
 * @throws BoxcarError that names the binary when it is missing or fails.
 */
export function askHelper(
  name: string,
  server: string,
  configured: string,
  env: NodeJS.ProcessEnv,
): Promise<HelperAnswer | undefined> {
  const binary = `docker-credential-${name}`;
  if (!/^[\w.+-]+$/.test(name))
    return Promise.reject(failed(`${binary} is no name of a credential helper`, configured));
  return new Promise((resolve, reject) => {
    const child = execFile(
      binary,
      ['get'],
      { env, timeout: helperMs, maxBuffer: 1024 * 1024 },
      (error, stdout, stderr) => {
        if (!error) return settle(() => answerOf(stdout, binary, configured), resolve, reject);
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
          return reject(failed(`the credential helper ${binary} is not on PATH`, configured));
        }
        // The words of credentials.ErrCredentialsNotFound, which helpers print on stdout.
        if (/credentials not found/i.test(stdout)) return resolve(undefined);
        const why = error.killed
          ? `no answer within ${helperMs / 1000} s`
          : printable(stderr || stdout) || `exit ${error.code}`;
        reject(failed(`the credential helper ${binary} failed: ${why}`, configured));
      },
    );
    // A helper that ends without reading is judged by its status, not by the broken pipe.
    child.stdin?.on('error', () => {});
    child.stdin?.end(server);
  });
}

function settle<T>(make: () => T, resolve: (value: T) => void, reject: (error: unknown) => void): void {
  try {
    resolve(make());
  } catch (error) {
    reject(error);
  }
}

function answerOf(stdout: string, binary: string, configured: string): HelperAnswer {
  let answer: { Username?: unknown; Secret?: unknown } | undefined;
  try {
    answer = JSON.parse(stdout);
  } catch {
    // Told below, without its words: they may hold the secret.
  }
  if (typeof answer?.Username !== 'string' || typeof answer.Secret !== 'string') {
    throw failed(`the credential helper ${binary} gave no user name and secret`, configured);
  }
  return { username: answer.Username, secret: answer.Secret };
}

function failed(message: string, configured: string): BoxcarError {
  return new BoxcarError(message, {
    code: 'usage',
    side: 'local',
    hint: `it is named in ${configured}: install or mend it, remove it there, or set OCI_USERNAME and OCI_PASSWORD`,
  });
}
