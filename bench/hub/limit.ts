import type { Socket } from 'node:net';
import { createPace, type Pace } from '../../test/support/pace.ts';
import type { HubOptions } from './start.ts';

/** Resolves when so many bytes may leave on that connection. */
export type Limit = (connection: Socket, bytes: number) => Promise<unknown>;

/** A bucket for each connection, and one for the link that all of them share. */
export function createLimit({ connection, link }: NonNullable<HubOptions['limits']>): Limit {
  const ofLink = createPace(link);
  const paces = new WeakMap<Socket, Pace>();
  return (socket, bytes) => {
    const pace = paces.get(socket) ?? createPace(connection);
    paces.set(socket, pace);
    return Promise.all([pace(bytes), ofLink(bytes)]);
  };
}
