import { DriverSocket } from './driver-socket.js';
import { openSocket } from './socket.js';
import type { DatabaseTarget } from './target.js';

/** A cancel request is a courtesy: it must not hold up the end of a command. */
const limitMs = 2000;

/**
 * A connection for a cancel request, which the server answers by closing it. It cannot fail: a request that does not get
 * through changes nothing, and the driver would make an unhandled rejection of the failure.
 */
export async function dialToCancel(target: DatabaseTarget): Promise<DriverSocket> {
  try {
    const socket = await openSocket(target, AbortSignal.timeout(limitMs));
    const forDriver = new DriverSocket(socket);
    const limit = setTimeout(() => socket.destroy(), limitMs);
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(limit);
      forDriver.closed();
    });
    socket.resume();
    return forDriver;
  } catch {
    const nowhere = new DriverSocket(null);
    setImmediate(() => nowhere.closed());
    return nowhere;
  }
}
