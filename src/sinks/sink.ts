import type { Writable } from 'node:stream';

/** The bytes as written, before they are visible. */
export interface Sealed {
  /** Bytes of the file as stored (compressed, if it is). */
  readonly size: number;
  /** SHA-256 of those bytes, lower-case hexadecimal. */
  readonly sha256: string;
}

/** What became of the bytes, once they are published. */
export interface Published {
  /** Where they are, in the user's terms: an absolute path, or `standard output`. */
  readonly location: string;
  /** What `export_logs.file_url` says: a URL, or null where there is nothing to fetch again. */
  readonly url: string | null;
}

/**
 * A place that bytes go to. What each method owes its caller:
 *
 * - `write` resolves when the sink is done with the memory, so that the caller may reuse it (back-pressure);
 * - `seal` resolves when every byte is safe (on disk for files, accepted by the pipe for streams), yet nothing is
 *   visible under the final name;
 * - `publish` makes them visible, whole, in one step, and never replaces another file unless the user said so;
 * - `retract` takes back what `publish` did, where that is possible: it says whether it was;
 * - `abort` leaves nothing behind and never throws; after `publish` it does nothing.
 *
 * All but `abort` throw `LoraExportError` (`E_OUTPUT`, `E_OUTPUT_EXISTS`, `E_CONSUMER_CLOSED`).
 */
export interface Sink {
  write(bytes: Uint8Array): Promise<void>;
  seal(): Promise<Sealed>;
  /** @param fileName the name to use where the user named none */
  publish(fileName: string): Promise<Published>;
  retract(): Promise<boolean>;
  abort(): Promise<void>;
}

/** What recovery needs to find the remains of a dead run; stored as `export_runs.output`. */
export interface OutputRecord {
  readonly kind: 'stream' | 'file';
  /** Absolute directory of the file and of its temporary sibling. */
  readonly directory?: string;
  /** Name of the temporary file. */
  readonly partial?: string;
  /** Final name; known from the start only where the user gave it. */
  readonly name?: string;
  /** Inside the managed directory, below a directory named by the export id. */
  readonly managed?: boolean;
}

/** A checked output that has not been touched yet. */
export interface Destination {
  readonly record: OutputRecord;
  /** False for streams: bytes that went out cannot be taken back, so such a run is never tried again. */
  readonly restartable: boolean;
  open(): Promise<Sink>;
}

export interface DestinationContext {
  readonly exportId: string;
  /** Replace an existing file. */
  readonly force: boolean;
  /** Where a request for a stream goes. */
  readonly stream?: Writable | undefined;
}
