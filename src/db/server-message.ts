/**
 * The few messages of PostgreSQL's protocol that are read here and not by the driver (PostgreSQL documentation,
 * "Message Formats"): one byte of type, four bytes of length that count themselves, then the content.
 */

/** The fields of an ErrorResponse that we use, named as the driver names them. */
export interface ServerError {
  readonly code: string;
  readonly severity: string;
  readonly message: string;
  readonly routine: string | undefined;
}

/**
 * The error that a server sent as its very last message, or null. The driver drops it when no statement is open, and
 * reports a mere "closed" when one is; yet it alone says why the session ended (a restart, an idle limit).
 *
 * @param chunk the bytes that were received last
 */
export function lastServerError(chunk: Buffer): ServerError | null {
  // Rows may stand before it in the same chunk, so it is looked for from the end: it has to fit exactly.
  for (let start = chunk.length - 7; start >= Math.max(0, chunk.length - 8192); start--) {
    if (chunk[start] === 0x45 /* E */ && chunk.readInt32BE(start + 1) === chunk.length - start - 1) {
      const error = parseServerError(chunk.subarray(start + 5));
      if (error !== null) {
        return error;
      }
    }
  }
  return null;
}

function parseServerError(content: Buffer): ServerError | null {
  const fields = new Map(
    content
      .toString('utf8')
      .split('\0')
      .map((field) => [field.slice(0, 1), field.slice(1)]),
  );
  const code = fields.get('C');
  if (code === undefined || !/^[0-9A-Z]{5}$/.test(code)) {
    return null;
  }
  return {
    code,
    severity: fields.get('V') ?? 'FATAL',
    message: fields.get('M') ?? '',
    routine: fields.get('R'),
  };
}

/** What a server's first bytes tell: `incomplete` = wait for more. */
export type Greeting = 'incomplete' | 'postgres' | 'foreign' | { readonly unsupportedLogin: string };

const supportedLogins = new Set([0, 3, 5]);
const otherLogins = new Map([
  [2, 'Kerberos'],
  [6, 'SCM'],
  [7, 'GSSAPI'],
  [8, 'GSSAPI'],
  [9, 'SSPI'],
]);

/**
 * Judges the first bytes after the startup message. A driver that is fed the answer of a web server takes its letters
 * for a message of a gigabyte and waits for the rest.
 */
export function readGreeting(bytes: Buffer): Greeting {
  if (bytes.length === 0) {
    return 'incomplete';
  }
  const type = String.fromCharCode(bytes[0] ?? 0);
  if (!'RENv'.includes(type)) {
    return 'foreign';
  }
  if (bytes.length < 5) {
    return 'incomplete';
  }
  const length = bytes.readInt32BE(1);
  // libpq has the same bounds.
  if (length < 8 || length > (type === 'R' ? 2000 : 30_000)) {
    return 'foreign';
  }
  return type === 'R' ? readLogin(bytes, length) : 'postgres';
}

function readLogin(bytes: Buffer, length: number): Greeting {
  if (bytes.length < length + 1) {
    return 'incomplete';
  }
  const method = bytes.readInt32BE(5);
  if (supportedLogins.has(method)) {
    return 'postgres';
  }
  if (method === 10) {
    const mechanisms = bytes.toString('latin1', 9, length + 1).split('\0');
    return mechanisms.includes('SCRAM-SHA-256') ? 'postgres' : { unsupportedLogin: 'another SASL mechanism' };
  }
  const name = otherLogins.get(method);
  return name === undefined ? 'foreign' : { unsupportedLogin: name };
}
