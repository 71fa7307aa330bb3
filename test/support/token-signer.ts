import { createPrivateKey, randomUUID, X509Certificate } from 'node:crypto';
import { SignJWT } from 'jose';
import { selfSigned } from './tls.ts';

export interface Access {
  type: string;
  name: string;
  actions: string[];
}

export interface Claims {
  issuer: string;
  audience: string;
  subject: string;
  access: Access[];
  /** Seconds until a registry refuses the token, rounded down to the clock's full second: 2 means 1 to 2. */
  lifetime: number;
}

export interface TokenSigner {
  /** The self-signed certificate a registry is given as `rootcertbundle`. */
  certFile: string;
  sign(claims: Claims): Promise<string>;
}

/** Both distributions take a token until 60 s after its `exp`, for clocks that differ; that is counted into a lifetime here. */
const leeway = 60;

/** Signs tokens as spec/auth/jwt of the distribution project wants them. */
export async function createTokenSigner(): Promise<TokenSigner> {
  const identity = await selfSigned('token-server');
  const key = createPrivateKey(identity.key);
  // 2.8 and 3 both verify by the certificate chain in the header; only 3 knows key sets.
  const x5c = [new X509Certificate(identity.cert).raw.toString('base64')];
  return {
    certFile: identity.certFile,
    sign({ issuer, audience, subject, access, lifetime }) {
      const now = Math.floor(Date.now() / 1000);
      return new SignJWT({ access })
        .setProtectedHeader({ alg: 'ES256', typ: 'JWT', x5c })
        .setIssuer(issuer)
        .setAudience(audience)
        .setSubject(subject)
        .setJti(randomUUID())
        .setIssuedAt(now)
        .setNotBefore(now - 2 * leeway)
        .setExpirationTime(now + lifetime - leeway)
        .sign(key);
    },
  };
}
