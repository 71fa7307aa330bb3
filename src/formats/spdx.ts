import deprecatedIds from 'spdx-license-ids/deprecated.json' with { type: 'json' };
import spdxIds from 'spdx-license-ids/index.json' with { type: 'json' };
import type { ModelCard } from '../hub/model-file.ts';

const bySpelling = new Map([...deprecatedIds, ...spdxIds].map((id) => [id.toLowerCase(), id]));

/**
 * The card's licence as an SPDX expression, as `org.opencontainers.image.licenses` asks (image-spec, annotations.md):
 * the hub writes identifiers in lower case; what SPDX does not know becomes a `LicenseRef-`.
 */
export function spdxLicense(card: ModelCard): string | undefined {
  const id = card.license === 'other' ? (card.licenseName ?? card.license) : card.license;
  if (!id) return undefined;
  return bySpelling.get(id.toLowerCase()) ?? `LicenseRef-${id.replace(/[^A-Za-z0-9.-]+/g, '-')}`;
}
