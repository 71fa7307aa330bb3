import type { Annotate } from './text.ts';

/**
 * Escapes of Azure's logging commands (azure-pipelines-task-lib, taskcommand.ts). A plain % is `%AZP25` to the
 * agent, because `%25` meant itself when the escapes were new.
 */
function message(text: string): string {
  return text.replaceAll('%', '%AZP25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function property(text: string): string {
  return message(text).replaceAll(']', '%5D').replaceAll(';', '%3B');
}

/** `##vso[task.logissue type=warning]text` */
export function azureCommand(name: string, properties: Record<string, string>, text: string): string {
  const pairs = Object.entries(properties).map(([key, value]) => `${key}=${property(value)}`);
  return `##vso[${[name, ...(pairs.length > 0 ? [pairs.join(';')] : [])].join(' ')}]${message(text)}`;
}

/** Warnings and errors as issues on the page of the build. */
export const azureIssue: Annotate = (level, lines) =>
  azureCommand('task.logissue', { type: level }, lines.join('\n'));
