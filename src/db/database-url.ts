import { isIPv6 } from 'node:net';

import { LoraExportError } from '../errors.js';

/** The pieces of a database URL, decoded; what the URL does not say is undefined. */
interface DatabaseUrl {
  readonly user: string | undefined;
  readonly password: string | undefined;
  /** Without the brackets of an IPv6 address. */
  readonly host: string | undefined;
  readonly port: string | undefined;
  readonly database: string | undefined;
  /** In the order of the URL; of a name given twice the last one counts, as in libpq. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** Makes the error for a bad URL. Nothing of the URL may be in it: any piece may be part of a mistyped password. */
export type BadUrl = (problem: string, hint?: string) => LoraExportError;

const form = 'postgresql://USER:PASSWORD@HOST:5432/DATABASE';
const supabase =
  'The database URL is behind the "Connect" button of the project in the Supabase dashboard; choose the session pooler.';
const percentEncode =
  'Percent-encode reserved characters of the user name and password: @ is %40, : is %3A, / is %2F, ? is %3F, # is %23, % is %25.';

/**
 * Takes a `postgres://` URL apart by the rules of libpq (PostgreSQL documentation, "Connection URIs"). It is stricter:
 * a URL that could be read in two ways is refused, because the wrong way would show a piece of the password as a host.
 *
 * @throws LoraExportError what `bad` makes
 */
export function splitDatabaseUrl(url: string, bad: BadUrl): DatabaseUrl {
  const text = url.trim();
  refuseOtherThings(text, bad);
  const rest = text.slice(text.indexOf('://') + 3);
  if (/[\s\p{Cc}]/u.test(rest)) {
    throw bad('has a space or a line break inside.', 'Remove it, or write %20 where a space is meant.');
  }
  if (/%(?![0-9a-f]{2})/i.test(rest)) {
    throw bad('has a % that is not followed by two hexadecimal digits.', percentEncode);
  }
  if (rest.includes('#')) {
    throw bad('has a #, which would end the URL there.', percentEncode);
  }
  const {
    authority = '',
    path,
    query,
  } = /^(?<authority>[^/?]*)(?:\/(?<path>[^?]*))?(?:\?(?<query>.*))?$/.exec(rest)?.groups ?? {};
  const [userInfo, address, ...more] = authority.includes('@')
    ? authority.split('@')
    : [undefined, authority];
  if (more.length > 0 || path?.includes('@') || (userInfo === undefined && query?.includes('@'))) {
    throw bad('has an @, / or ? that is not percent-encoded.', percentEncode);
  }
  const decode = decoder(bad);
  const colon = userInfo?.indexOf(':') ?? -1;
  const password = colon < 0 ? undefined : decode(userInfo?.slice(colon + 1));
  if (password !== undefined && /^[[<{].*password.*[\]>}]$/i.test(password)) {
    throw bad(
      'still has a placeholder where the password belongs.',
      'Put the real password there, percent-encoded.',
    );
  }
  return {
    user: decode(colon < 0 ? userInfo : userInfo?.slice(0, colon)),
    password,
    ...splitAddress(address ?? '', decode, bad),
    database: decode(path),
    parameters: splitQuery(query ?? '', decode, bad),
  };
}

/** The things that people paste instead of a database URL, each with what to do about it. */
function refuseOtherThings(text: string, bad: BadUrl): void {
  if (text === '') {
    throw bad('is empty.', `Give a URL such as ${form}.`);
  }
  if (/^["'`“‘]|["'`”’]$/u.test(text)) {
    throw bad('has quotation marks around it.', 'Remove them.');
  }
  if (/^(?:sb_(?:publishable|secret)_|eyJ)/.test(text)) {
    throw bad('is a Supabase API key, not a database URL.', supabase);
  }
  if (/^https?:\/\/[^/]*supabase\.(?:co|com|in|green)(?:[:/?]|$)/i.test(text)) {
    throw bad('is the web address of a Supabase project, not a database URL.', supabase);
  }
  if (/^https?:\/\//i.test(text)) {
    throw bad('is a web address, not a database URL.', `Give a URL such as ${form}.`);
  }
  if (/^jdbc:/i.test(text)) {
    throw bad('is a JDBC URL.', `Remove "jdbc:", and write user and password as in ${form}.`);
  }
  if (/^postgres(?:ql)?\+\w+:\/\//i.test(text)) {
    throw bad('names a driver of another program in its scheme.', 'Remove the + and the word after it.');
  }
  if (/^prisma(?:\+postgres)?:\/\//i.test(text)) {
    throw bad('is a Prisma address, not a database URL.', `Give the direct URL of the database: ${form}.`);
  }
  if (/^\w+=postgres(?:ql)?:\/\//i.test(text)) {
    throw bad('has the name of a variable in front of the URL.', 'Remove everything before "postgres".');
  }
  if (/^(?:psql|export)\s/i.test(text)) {
    throw bad('has a command in front of the URL.', 'Remove everything before "postgres".');
  }
  if (/\b(?:host|dbname|user)\s*=/i.test(text) && !text.includes('://')) {
    throw bad('is a list of key=value pairs.', `Write it as a URL: ${form}.`);
  }
  if (/^postgres(?:ql)?:(?!\/\/)/i.test(text)) {
    throw bad('lacks the // after the scheme.', `The form is ${form}.`);
  }
  if (!text.includes('://')) {
    throw bad('does not begin with postgres:// or postgresql://.', `The form is ${form}.`);
  }
  if (!/^postgres(?:ql)?:\/\//i.test(text)) {
    throw bad('is a URL of something else than PostgreSQL.', `The form is ${form}.`);
  }
}

function splitAddress(
  address: string,
  decode: Decode,
  bad: BadUrl,
): { host: string | undefined; port: string | undefined } {
  if (address.includes(',')) {
    throw bad('names several hosts.', 'Name one of them: the one that accepts writes.');
  }
  if (address.startsWith('[')) {
    const { host, port } = /^\[(?<host>[^\]]*)\](?::(?<port>.*))?$/.exec(address)?.groups ?? {};
    const decoded = decode(host);
    if (decoded === undefined || !isIPv6(decoded)) {
      throw bad('has something other than an IPv6 address in brackets.', `The form is ${form}.`);
    }
    return { host: decoded, port: decode(port) };
  }
  const [host, port, ...more] = address.split(':');
  if (more.length > 0) {
    throw bad('has too many colons in its address.', 'Write an IPv6 address in brackets: [::1]:5432.');
  }
  return { host: decode(host), port: decode(port) };
}

function splitQuery(query: string, decode: Decode, bad: BadUrl): Map<string, string> {
  const parameters = new Map<string, string>();
  for (const pair of query.split('&').filter((pair) => pair !== '')) {
    const equals = pair.indexOf('=');
    const name = equals < 0 ? '' : decode(pair.slice(0, equals));
    // The name may be printed later, so it has to look like one.
    if (name === undefined || !/^[A-Za-z_][\w.-]{0,62}$/.test(name)) {
      throw bad(
        'has something after its ? that is not name=value.',
        'Should the ? belong to the password, write it as %3F.',
      );
    }
    parameters.set(name, decode(pair.slice(equals + 1)) ?? '');
  }
  return parameters;
}

type Decode = (part: string | undefined) => string | undefined;

/** Empty counts as absent, as in libpq. */
function decoder(bad: BadUrl): Decode {
  return (part) => {
    if (part === undefined || part === '') {
      return undefined;
    }
    let text: string;
    try {
      text = decodeURIComponent(part);
    } catch {
      throw bad('has percent-encoded bytes that are not UTF-8.', percentEncode);
    }
    if (text.includes('\0')) {
      throw bad('has a NUL character (%00), which PostgreSQL cannot take.');
    }
    return text;
  };
}
