import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';

import { isTransactionPooler, parseDatabaseUrl, type DatabaseTarget } from '../../src/db/target.js';
import { LoraExportError } from '../../src/errors.js';

const plain: DatabaseTarget = {
  host: 'db.example',
  port: 5432,
  socketPath: null,
  database: 'app',
  user: 'ann',
  password: 'pw',
  tls: 'verify-full',
  rootCertificate: null,
  label: 'ann@db.example:5432/app',
  ignoredParameters: [],
};

describe('parseDatabaseUrl reads', () => {
  it.each<[url: string, differs: Partial<DatabaseTarget>]>([
    ['postgres://ann:pw@db.example:5432/app', {}],
    ['postgresql://ann:pw@db.example/app', {}],
    ['POSTGRESQL://ann:pw@db.example/app', {}],
    ['  postgres://ann:pw@db.example/app\n', {}],
    ['postgres://ann:pw@db.example:/app', {}],
    ['postgres://ann:pw@db.example/app?', {}],
    ['postgres://ann:pw@db.example/app?&&', {}],
    ['postgres://ann:pw@db.example:6543/app', { port: 6543, label: 'ann@db.example:6543/app' }],
    ['postgres://ann@db.example/app', { password: null }],
    ['postgres://ann:@db.example/app', { password: null }],
    ['postgres://ann:p%40%3A%2F%3F%23%25%20w@db.example/app', { password: 'p@:/?#% w' }],
    ['postgres://ann:p:w@db.example/app', { password: 'p:w' }],
    ['postgres://ann:p+w$!*(),;=&w@db.example/app', { password: 'p+w$!*(),;=&w' }],
    ['postgres://ann:p%C3%A4w@db.example/app', { password: 'päw' }],
    ['postgres://ann:päw@db.example/app', { password: 'päw' }],
    ['postgres://ann.b%40c:pw@db.example/app', { user: 'ann.b@c', label: 'ann.b@c@db.example:5432/app' }],
    ['postgres://ann:pw@db.example', { database: 'ann', label: 'ann@db.example:5432/ann' }],
    ['postgres://ann:pw@db.example/', { database: 'ann', label: 'ann@db.example:5432/ann' }],
    ['postgres://ann:pw@db.example/my%20app', { database: 'my app', label: 'ann@db.example:5432/my app' }],
    [
      'postgres://ann:pw@db.example/a%1b%5D52;c',
      { database: 'a\u001b]52;c', label: 'ann@db.example:5432/a\\u{1b}]52;c' },
    ],
    [
      'postgres://ann:pw@localhost/app',
      { host: 'localhost', tls: 'disable', label: 'ann@localhost:5432/app' },
    ],
    [
      'postgres://ann:pw@LOCALHOST/app',
      { host: 'LOCALHOST', tls: 'disable', label: 'ann@LOCALHOST:5432/app' },
    ],
    [
      'postgres://ann:pw@127.8.0.1/app',
      { host: '127.8.0.1', tls: 'disable', label: 'ann@127.8.0.1:5432/app' },
    ],
    ['postgres://ann:pw@[::1]/app', { host: '::1', tls: 'disable', label: 'ann@[::1]:5432/app' }],
    [
      'postgres://ann:pw@[2001:db8::1]:7/app',
      { host: '2001:db8::1', port: 7, label: 'ann@[2001:db8::1]:7/app' },
    ],
    ['postgres://ann:pw@10.0.0.1/app', { host: '10.0.0.1', label: 'ann@10.0.0.1:5432/app' }],
    [
      'postgres://ann:pw@127.0.0.1.example/app',
      { host: '127.0.0.1.example', label: 'ann@127.0.0.1.example:5432/app' },
    ],
    ['postgres://ann:pw@db/app', { host: 'db', label: 'ann@db:5432/app' }],
    [
      'postgres://ann:pw@my_db-1.example./app',
      { host: 'my_db-1.example.', label: 'ann@my_db-1.example.:5432/app' },
    ],
    [
      'postgres:///app?user=ann&password=pw',
      { host: 'localhost', tls: 'disable', label: 'ann@localhost:5432/app' },
    ],
    [
      'postgres://ann:pw@localhost/app?host=/var/run/pg',
      {
        host: '/var/run/pg',
        socketPath: '/var/run/pg/.s.PGSQL.5432',
        tls: 'disable',
        label: 'ann@/var/run/pg:5432/app',
      },
    ],
    [
      'postgres://ann:pw@%2Fvar%2Frun%2Fpg%2F:99/app',
      {
        host: '/var/run/pg',
        port: 99,
        socketPath: '/var/run/pg/.s.PGSQL.99',
        tls: 'disable',
        label: 'ann@/var/run/pg:99/app',
      },
    ],
    [
      'postgres://ann:pw@/app?host=/tmp&sslmode=verify-full',
      { host: '/tmp', socketPath: '/tmp/.s.PGSQL.5432', tls: 'disable', label: 'ann@/tmp:5432/app' },
    ],
    [
      'postgres://x:y@other/z?host=db.example&port=5432&user=ann&password=p%26w&dbname=app',
      { password: 'p&w' },
    ],
    ['postgres://ann:pw@db.example/z?database=app', {}],
    ['postgres://ann:pw@db.example/app?sslmode=disable', { tls: 'disable' }],
    ['postgres://ann:pw@db.example/app?sslmode=prefer', { tls: 'prefer' }],
    ['postgres://ann:pw@db.example/app?sslmode=allow', { tls: 'prefer' }],
    ['postgres://ann:pw@db.example/app?sslmode=require', { tls: 'require' }],
    ['postgres://ann:pw@db.example/app?sslmode=verify-ca', { tls: 'verify-ca' }],
    ['postgres://ann:pw@db.example/app?sslmode=disable&sslmode=verify-full', {}],
    ['postgres://ann:pw@db.example/app?sslrootcert=/etc/ca.pem', { rootCertificate: '/etc/ca.pem' }],
    ['postgres://ann:pw@db.example/app?sslrootcert=system', {}],
    [
      'postgres://ann:pw@localhost/app?sslrootcert=ca.pem',
      { host: 'localhost', rootCertificate: 'ca.pem', label: 'ann@localhost:5432/app' },
    ],
    ['postgres://ann:pw@db.example/app?application_name=x', {}],
    ['postgres://ann:pw@db.example/app?connect_timeout=3', { connectTimeoutMs: 3000 }],
    ['postgres://ann:pw@db.example/app?connect_timeout=0', {}],
    [
      'postgres://ann:pw@db.example/app?pgbouncer=true&sslmode=require&connection_limit=1',
      { tls: 'require', ignoredParameters: ['pgbouncer', 'connection_limit'] },
    ],
    ['postgres://ann:pw@db.example/app?ssl=false', { ignoredParameters: ['ssl'] }],
  ])('%s', (url, differs) => {
    expect(parseDatabaseUrl(url, '--database-url')).toEqual({ ...plain, ...differs });
  });

  it('takes the password from PGPASSWORD only when the URL has none', () => {
    const env = { PGPASSWORD: 'from env', PGUSER: 'bob', PGHOST: 'elsewhere', PGSSLMODE: 'disable' };
    expect(parseDatabaseUrl('postgres://ann@db.example/app', 'X', env)).toEqual({
      ...plain,
      password: 'from env',
    });
    expect(parseDatabaseUrl('postgres://ann:pw@db.example/app', 'X', env)).toEqual(plain);
    expect(parseDatabaseUrl('postgres://ann@db.example/app', 'X', { PGPASSWORD: '' }).password).toBeNull();
  });

  it('knows a transaction pooler by its port', () => {
    expect(isTransactionPooler(parseDatabaseUrl('postgres://ann:pw@db.example:6543/app', 'X'))).toBe(true);
    expect(isTransactionPooler(plain)).toBe(false);
  });
});

describe('parseDatabaseUrl refuses', () => {
  const secret = 'hunter2';

  it.each<[url: string, message: RegExp]>([
    ['', /is empty/],
    [' \n', /is empty/],
    [`"postgres://ann:${secret}@db.example/app"`, /quotation marks/],
    [`'postgres://ann:${secret}@db.example/app'`, /quotation marks/],
    [`postgres://ann:${secret}@db.example/app"`, /quotation marks/],
    [`ann:${secret}@db.example/app`, /does not begin with postgres/],
    ['db.example', /does not begin with postgres/],
    [secret, /does not begin with postgres/],
    [`postgres:ann:${secret}@db.example/app`, /lacks the \/\//],
    [`http://ann:${secret}@db.example/app`, /is a web address/],
    [`https://db.example/${secret}`, /is a web address/],
    [`https://${secret}.supabase.co`, /web address of a Supabase project/],
    [`https://supabase.com/dashboard/project/${secret}`, /web address of a Supabase project/],
    [`https://${secret}.supabase.co/rest/v1/`, /web address of a Supabase project/],
    [`https://x.notsupabase.co.example/${secret}`, /is a web address/],
    [`sb_publishable_${secret}`, /Supabase API key/],
    [`sb_secret_${secret}`, /Supabase API key/],
    [`eyJhbGciOiJIUzI1NiJ9.${secret}.x`, /Supabase API key/],
    [`jdbc:postgresql://db.example/app?user=ann&password=${secret}`, /JDBC/],
    [`postgresql+psycopg2://ann:${secret}@db.example/app`, /driver of another program/],
    [`prisma+postgres://accelerate.example/?api_key=${secret}`, /Prisma/],
    [`mysql://ann:${secret}@db.example/app`, /something else than PostgreSQL/],
    [`DATABASE_URL=postgres://ann:${secret}@db.example/app`, /name of a variable/],
    [`psql postgres://ann:${secret}@db.example/app`, /command in front/],
    [`host=db.example user=ann password=${secret}`, /key=value/],
    [`postgres://ann:${secret}%@db.example/app`, /% that is not followed/],
    [`postgres://ann:${secret}%zz@db.example/app`, /% that is not followed/],
    [`postgres://ann:${secret}%FF@db.example/app`, /not UTF-8/],
    [`postgres://ann:${secret}%00@db.example/app`, /NUL/],
    [`postgres://ann:${secret}@${secret}@db.example/app`, /percent-encoded/],
    [`postgres://ann:${secret}#x@db.example/app`, /has a #/],
    [`postgres://ann:${secret}/x@db.example/app`, /percent-encoded/],
    [`postgres://ann:12/${secret}@db.example/app`, /percent-encoded/],
    [`postgres://ann:12?${secret}@db.example/app`, /percent-encoded/],
    [`postgres://ann:${secret}?x@db.example/app`, /percent-encoded/],
    [`postgres://ann:${secret}/app`, /number as its port/],
    [`postgres://ann:${secret} x@db.example/app`, /space or a line break/],
    [`postgres://ann:${secret}\n@db.example/app`, /space or a line break/],
    [`postgres://ann:[YOUR-PASSWORD]@db.example/app`, /placeholder/],
    [`postgres://ann:<password>@db.example/app`, /placeholder/],
    [`postgres://ann:${secret}@<host>/app`, /no valid host name/],
    [`postgres://ann:${secret}@[host]/app`, /IPv6 address in brackets/],
    [`postgres://ann:${secret}@::1/app`, /too many colons/],
    [`postgres://ann:${secret}@db.example:1:2/app`, /too many colons/],
    [`postgres://ann:${secret}@a.example,b.example/app`, /several hosts/],
    [`postgres://ann:${secret}@a.example:1,b.example:2/app`, /several hosts/],
    [`postgres://ann:${secret}@x/app?host=a.example,b.example`, /several hosts/],
    [`postgres://ann:${secret}@db.example:0/app`, /out of range/],
    [`postgres://ann:${secret}@db.example:65536/app`, /out of range/],
    [`postgres://ann:${secret}@db.example:99999999999999999999/app`, /out of range/],
    [`postgres://ann:${secret}@db.example:54x32/app`, /number as its port/],
    [`postgres://ann:${secret}@db.example:-1/app`, /number as its port/],
    [`postgres://ann:${secret}@db.example:٥/app`, /number as its port/],
    [`postgres://ann:${secret}@db.example:0x15/app`, /number as its port/],
    [`postgres://db.example/app`, /names no user/],
    [`postgres://:${secret}@db.example/app`, /names no user/],
    [`postgres://ann:${secret}@db.example/app?sslmode=no-verify`, /unknown sslmode/],
    [`postgres://ann:${secret}@db.example/app?sslmode=REQUIRE`, /unknown sslmode/],
    [`postgres://ann:${secret}@db.example/app?sslmode=`, /unknown sslmode/],
    [`postgres://ann:${secret}@db.example/app?sslmode=require&sslrootcert=system`, /weaker sslmode/],
    [`postgres://ann:${secret}@db.example/app?${secret}`, /not name=value/],
    [`postgres://ann:${secret}@db.example/app?a%20${secret}=1`, /not name=value/],
    [`postgres://ann:${secret}@db.example/app?connect_timeout=${secret}`, /connect_timeout/],
    [`postgres://ann:${secret}@db.example/app?connect_timeout=-1`, /connect_timeout/],
  ])('%s', (url, message) => {
    const error = refusalOf(url);
    expect(error.code).toBe('E_USAGE');
    expect(error.message).toMatch(/^DATABASE_URL /);
    expect(error.message).toMatch(message);
    expect(shownForms(error)).not.toContain(secret);
  });

  it('an unknown sslmode with the list of the valid ones', () => {
    expect(refusalOf('postgres://ann@db.example/app?sslmode=on').hint).toBe(
      'Valid values: disable, prefer, require, verify-ca, verify-full.',
    );
  });

  it('what cannot be read in an unescaped password with the way to write it', () => {
    for (const url of [
      'postgres://u:a@b@h/d',
      'postgres://u:a%b@h/d',
      'postgres://u:a#b@h/d',
      'postgres://u:a/b@h/d',
    ]) {
      expect(refusalOf(url).hint).toMatch(/Percent-encode.*@ is %40.*# is %23, % is %25/);
    }
  });

  function refusalOf(url: string): LoraExportError {
    try {
      parseDatabaseUrl(url, 'DATABASE_URL', {});
    } catch (error) {
      expect(error).toBeInstanceOf(LoraExportError);
      return error as LoraExportError;
    }
    throw new Error('The URL was accepted');
  }

  function shownForms(error: LoraExportError): string {
    return [
      error.message,
      error.hint,
      error.stack,
      JSON.stringify(error),
      inspect(error, { depth: 9, showHidden: true }),
    ].join('\n');
  }
});
