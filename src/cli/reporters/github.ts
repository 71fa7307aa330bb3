import type { Annotate } from './text.ts';

/** Warnings and errors as annotations on the page of the workflow run (escapes: actions/runner, ActionCommand.cs). */
export const githubAnnotation: Annotate = (level, lines) => {
  const message = lines.join('\n').replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
  return `::${level}::${message}`;
};
