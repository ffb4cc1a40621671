import { createHash } from 'node:crypto';
import type { Sealed } from './sink.js';

/** Counts and hashes bytes as they pass. */
export class Digest {
  readonly #hash = createHash('sha256');
  #size = 0;

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes);
    this.#size += bytes.length;
  }

  seal(): Sealed {
    return { size: this.#size, sha256: this.#hash.digest('hex') };
  }
}
