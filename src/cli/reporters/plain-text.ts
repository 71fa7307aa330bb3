import { printable } from '../../errors.ts';

/**
 * Text from elsewhere (file names, servers' answers) as one line that neither a terminal nor a CI system acts on.
 * Azure's agent and GitHub's runner take `##vso[` and `##[` for a command wherever they stand in a line, the runner
 * also `::` at a line's start (actions/runner, ActionCommand.cs).
 */
export function plain(text: string, maxLength?: number): string {
  return printable(text, maxLength)
    .replace(/##(?=\[|vso\[)/gi, '# #')
    .replace(/^::/, ': :');
}

/** JSON text with the same safety and no loss: what could act on a terminal or a CI system becomes a \u escape. */
export function plainJson(json: string): string {
  return json
    .replace(/##/g, '#\\u0023')
    .replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (found) =>
      found.replace(/./gs, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`),
    );
}
