/** Letters that terminals draw two columns wide: East Asian scripts, full-width forms and pictures. */
const wide =
  /[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\u3000-\u303f\uff01-\uff60\uffe0-\uffe6\p{Emoji_Presentation}]/u;

/** Marks that are drawn onto the letter before them. */
const mark = /\p{M}/u;

/** Columns that a text without control characters takes on a terminal. */
export function width(text: string): number {
  let columns = 0;
  for (const letter of text) columns += wide.test(letter) ? 2 : mark.test(letter) ? 0 : 1;
  return columns;
}

/**
 * A file's name in exactly so many columns: padded, or without what tells it apart least. That is its extension,
 * then the middle: shards of a model differ at the end of the stem (`model-00001-of-00004`).
 */
export function fit(name: string, columns: number): string {
  const fitted = width(name) <= columns ? name : shortened(name, columns);
  return fitted + ' '.repeat(columns - width(fitted));
}

function shortened(name: string, columns: number): string {
  const stem = name.replace(/(?<=.)\.[^./]{1,12}$/, '');
  if (width(stem) < columns) return `${stem}…`;
  const start = cut(stem, Math.floor((columns - 1) / 4));
  return `${start}…${cutStart(stem, columns - 1 - width(start))}`;
}

/** A text in at most so many columns, with `…` for an end that does not fit. */
export function shorten(text: string, columns: number): string {
  return width(text) <= columns ? text : `${cut(text, columns - 1)}…`;
}

/** As much of a text's start as the columns hold. */
function cut(text: string, columns: number): string {
  let kept = '';
  for (const letter of text) {
    if (width(kept + letter) > columns) break;
    kept += letter;
  }
  return kept;
}

function cutStart(text: string, columns: number): string {
  let kept = '';
  for (const letter of [...text].reverse()) {
    if (width(letter + kept) > columns) break;
    kept = letter + kept;
  }
  return kept;
}
