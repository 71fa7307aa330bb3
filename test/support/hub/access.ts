import { type Answer, errorAnswer } from './answer.ts';
import type { StoredModel } from './model.ts';

export interface AccessOptions {
  /** The one token that may read everything. Given, it is required of every request unless `anonymous` says otherwise. */
  token?: string;
  /** A valid token of an account that is in no private organisation and has accepted no gate. */
  strangerToken?: string;
  /** Let requests without a token read what is public, although there is a `token`. */
  anonymous?: boolean;
}

/**
 * Why the hub refuses, in its own words, or undefined where it does not. To the anonymous it answers 401 without
 * X-Error-Code both for what is private and for what does not exist; metadata of gated models is public.
 */
export function refusal(
  options: AccessOptions,
  authorization: string | undefined,
  model: StoredModel | undefined,
  wants: 'metadata' | 'content',
): Answer | undefined {
  const asText = wants === 'content';
  const bearer = /^Bearer (.+)$/i.exec(authorization ?? '')?.[1];
  const full = bearer !== undefined && bearer === options.token;
  if (authorization !== undefined && !full && (bearer === undefined || bearer !== options.strangerToken)) {
    return errorAnswer(401, 'Invalid credentials in Authorization header', undefined, asText);
  }
  const anonymous = authorization === undefined;
  const closed = anonymous && options.token !== undefined && options.anonymous !== true;
  if (closed || model === undefined || (model.private && !full)) {
    return anonymous
      ? errorAnswer(401, 'Invalid username or password.', undefined, asText)
      : errorAnswer(404, 'Repository not found', 'RepoNotFound', asText);
  }
  if (wants === 'content' && model.gated && !full) {
    const restricted = `Access to model ${model.name} is restricted`;
    return anonymous
      ? errorAnswer(
          401,
          `${restricted}. You must have access to it and be authenticated to access it. Please log in.`,
          'GatedRepo',
          true,
        )
      : errorAnswer(
          403,
          `${restricted} and you are not in the authorized list. Visit its page to ask for access.`,
          'GatedRepo',
          true,
        );
  }
  return undefined;
}
