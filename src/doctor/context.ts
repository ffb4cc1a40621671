import type { Connection } from '../db/connect.js';
import type { Identity } from '../db/identity.js';
import type { DatabaseTarget } from '../db/target.js';
import type { LoraExportError } from '../errors.js';

/** Everything that the checks need from the outside world. */
export interface DoctorContext {
  /** The database, or why there is none to talk to. */
  readonly database: DatabaseTarget | LoraExportError;
  readonly isEmbedded: boolean;
  /** Which flag, variable or file named the database. */
  readonly origin: string;
  readonly schema: string;
  readonly auditSchema: string;
  readonly userId: string | undefined;
  /** Which flag, variable or file named the user. */
  readonly userOrigin: string | undefined;
  readonly allUsers: boolean;
  /** The managed export directory. */
  readonly directory: string;
  /** User id of this process; null where there is no such thing. */
  readonly uid: number | null;
  /** Longest time for one statement, in milliseconds: large tables are sampled or left out then. Default: 5,000. */
  readonly limitMs?: number | undefined;
  /** The clock of this machine, in milliseconds since 1970. Default: `Date.now`. */
  readonly now?: (() => number) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told which check begins. */
  readonly onBegin?: ((name: string) => void) | undefined;
}

/** An open database, as the checks see it. */
export interface OpenPatient {
  /** Acts as the login itself. */
  readonly login: Connection;
  /** Acts as an export would: on behalf of the user, where the database knows users. */
  readonly reader: Connection;
  /** Null when it could not be settled. */
  readonly identity: Identity | null;
  /** The role whose rights `reader` has. */
  readonly role: string;
  readonly limitMs: number;
}
