import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';

/**
 * What postgres.js 3.4.9 asks of the socket that its `socket` option returns (its src/connection.js), on top of a real
 * one that somebody else reads, watches and closes. The driver never hears that the real socket failed or closed: its
 * own handling of a loss connects again without end, leaves statements unsettled, or writes to a socket that is gone.
 */
export class DriverSocket extends EventEmitter {
  /** The driver says goodbye only to an open socket, and waits in `end()` for one that is not closed. */
  readyState: 'open' | 'closed';
  readonly #socket: Socket | null;
  readonly #onDestroy: () => void;

  /** @param socket null = there is none, and whatever is written is dropped */
  constructor(socket: Socket | null, onDestroy: () => void = () => {}) {
    super();
    this.readyState = socket === null ? 'closed' : 'open';
    this.#socket = socket;
    this.#onDestroy = onDestroy;
  }

  write(bytes: Uint8Array): boolean {
    return this.#socket === null || this.#socket.destroyed || this.#socket.write(bytes);
  }

  end(bytes: Uint8Array): void {
    this.#socket?.end(bytes);
  }

  /** The driver gives up on its own account, because the server's proof of the password was wrong. */
  destroy(): void {
    this.#onDestroy();
  }

  setKeepAlive(enable: boolean, delayMs: number): void {
    this.#socket?.setKeepAlive(enable, delayMs);
  }

  pause(): void {
    this.#socket?.pause();
  }

  resume(): void {
    this.#socket?.resume();
  }

  /** Lets the driver go of this socket. Only for a driver that was ended before, or it would want another one. */
  closed(): void {
    this.readyState = 'closed';
    this.emit('close', false);
  }
}
