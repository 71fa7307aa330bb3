/** Levels of the deepest document that hubs and registries give: a model card's metadata. */
const deepest = 100;
/** Objects and lists in one document; a page of 1,000 files has 2,000. */
const most = 1_000_000;

const [quote, backslash, openList, closeList, openObject, closeObject] = [...Buffer.from('"\\[]{}')];

/**
 * Whether a parser would make far more of a JSON text than its bytes: lists in lists, or millions of empty objects, take
 * fifty times their text. Says nothing about whether it is JSON.
 */
export function isBloated(json: Uint8Array): boolean {
  let depth = 0;
  let count = 0;
  let inString = false;
  for (let at = 0; at < json.length; at++) {
    const byte = json[at];
    if (inString) {
      if (byte === backslash) at += 1;
      else if (byte === quote) inString = false;
    } else if (byte === quote) inString = true;
    else if (byte === openList || byte === openObject) {
      depth += 1;
      count += 1;
      if (depth > deepest || count > most) return true;
    } else if (byte === closeList || byte === closeObject) depth -= 1;
  }
  return false;
}
