import type { Readable, Writable } from 'node:stream';

/** The process as a command sees it; tests hand in their own. */
export interface Host {
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly stderr: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly platform: NodeJS.Platform;
  /** User id of the process; null where there is no such thing. */
  readonly uid: number | null;
  /** Aborts on the first signal or fatal error, with a LoraExportError as its reason. */
  readonly signal: AbortSignal;
}
