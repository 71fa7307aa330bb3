import type { MatrixFault, Places } from './matrix-fault.ts';

const html = '<html><head><title>502 Bad Gateway</title></head><body><center>nginx</center></body></html>';

/** The same answer from either side, instead of the right one. */
function answering(
  name: string,
  status: number,
  {
    headers,
    body,
  }: { headers?: Record<string, string> | (() => Record<string, string>); body?: string } = {},
): MatrixFault {
  const fault = () => {
    const fields = typeof headers === 'function' ? headers() : headers;
    return { kind: 'status', status, ...(fields && { headers: fields }), ...(body && { body }) } as const;
  };
  return { name, hub: fault, registry: fault };
}

const soon = () => ({ 'retry-after': new Date(Date.now() + 2000).toUTCString() });

const answers: MatrixFault[] = [
  answering('400', 400),
  answering('401', 401),
  {
    name: '401, token expired',
    registry: ({ side }, { realm }) =>
      side === 'token'
        ? undefined
        : {
            kind: 'status',
            status: 401,
            headers: {
              'www-authenticate': `Bearer realm="${realm}",service="test-registry",error="invalid_token"`,
            },
            body: JSON.stringify({ errors: [{ code: 'UNAUTHORIZED', message: 'authentication required' }] }),
          },
  },
  answering('403', 403),
  {
    name: '403, rate limit',
    registry: () => ({
      kind: 'status',
      status: 403,
      headers: { 'retry-after': '1' },
      body: 'You have exceeded a secondary rate limit',
    }),
  },
  answering('404', 404),
  {
    name: '404, no such repository',
    registry: () => ({
      kind: 'status',
      status: 404,
      body: JSON.stringify({ errors: [{ code: 'NAME_UNKNOWN', message: 'repository name not known' }] }),
    }),
  },
  answering('408', 408),
  answering('409', 409),
  answering('410', 410),
  answering('413', 413, { body: html }),
  {
    name: '413 before the body',
    registry: (step) => (step.has === 'bytes' ? { kind: 'status', status: 413, early: true } : undefined),
  },
  answering('416', 416),
  answering('416 with Range', 416, { headers: { range: '0-0', 'content-range': 'bytes */0' } }),
  answering('425', 425),
  answering('429', 429),
  answering('429, Retry-After 1', 429, { headers: { 'retry-after': '1' } }),
  answering('429, Retry-After a date', 429, { headers: soon }),
  answering('429, RateLimit', 429, { headers: { ratelimit: '"resolvers";r=0;t=1' } }),
  answering('429, Retry-After an hour', 429, { headers: { 'retry-after': '3600' } }),
  answering('500', 500),
  answering('501', 501),
  answering('502, HTML', 502, { headers: { 'content-type': 'text/html' }, body: html }),
  answering('503', 503),
  answering('504', 504),
  answering('507', 507),
  answering('520', 520),
  answering('200, HTML', 200, { headers: { 'content-type': 'text/html' }, body: html }),
  answering('200, empty', 200),
  answering('201', 201),
  answering('204', 204),
  answering('302 to nowhere', 302),
  answering('307 to garbage', 307, { headers: { location: 'http://[' } }),
  answering('307 to a dead port', 307, { headers: { location: 'http://127.0.0.1:9/' } }),
];

const locating = (name: string, location: (old: string, places: Places) => string | null): MatrixFault => ({
  name,
  registry: (step, places) =>
    ['POST', 'PATCH', 'PATCH, next chunk'].includes(step.name)
      ? {
          kind: 'rewrite',
          headers: ({ location: old = '' }) =>
            ({ location: location(old, places) }) as Record<string, string>,
        }
      : undefined,
});

const locations: MatrixFault[] = [
  locating('Location relative', (old, { registry }) => old.replace(registry, '')),
  locating('Location of another origin', (old, { registry, store }) => old.replace(registry, store)),
  locating('Location of another session', (old) =>
    old.replace(/uploads\/[^?]*/, 'uploads/00000000-0000-4000-8000-000000000000'),
  ),
  locating('Location missing', () => null),
  locating('Location garbage', () => 'http://[:::'),
  { ...locating('Location leaves https', (old) => old.replace('https:', 'http:')), tls: true },
  {
    name: 'Range missing',
    registry: ({ name }) =>
      name === 'GET upload' ? { kind: 'rewrite', headers: { range: null } } : undefined,
  },
  {
    name: 'Range garbage',
    registry: ({ name }) =>
      name === 'GET upload' ? { kind: 'rewrite', headers: { range: 'bytes=many' } } : undefined,
  },
  {
    name: 'Range too short',
    registry: ({ name }) =>
      name === 'GET upload' ? { kind: 'rewrite', headers: { range: '0-99' } } : undefined,
  },
  {
    name: 'Range too long',
    registry: ({ name }) =>
      name === 'GET upload' ? { kind: 'rewrite', headers: { range: '0-1999999' } } : undefined,
  },
  {
    name: 'another digest reported',
    registry: ({ name }) =>
      name.startsWith('PUT')
        ? { kind: 'rewrite', headers: { 'docker-content-digest': `sha256:${'0'.repeat(64)}` } }
        : undefined,
  },
];

const rewritten: MatrixFault[] = [200, 201, 202, 204].map((status) => ({
  name: `${status} for what was done`,
  registry: ({ name }) =>
    [
      'POST',
      'PATCH',
      'PATCH, next chunk',
      'GET upload',
      'PUT layer',
      'PUT config',
      'PUT manifest',
      'PUT further tag',
      'DELETE upload',
    ].includes(name)
      ? { kind: 'rewrite', status }
      : undefined,
}));

/** What goes wrong with the words of an answer. */
export const answerFaults: readonly MatrixFault[] = [...answers, ...locations, ...rewritten];
