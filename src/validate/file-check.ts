/** The checks of one file in one format, fed with its bytes in pieces of any size. */
export interface FileCheck {
  write(bytes: Buffer): void;
  /** @returns how many rows the file has: lines, conversations or records */
  end(): { readonly rows: number; readonly shape: string | null };
}
