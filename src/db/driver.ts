import postgres from 'postgres';

import { LoraExportError } from '../errors.js';
import { arrayTypeOf, arrayTypes } from './array-types.js';
import type { DriverSocket } from './driver-socket.js';
import { fieldOf } from './error-fields.js';
import { safeServerText } from './server-text.js';
import { isTransactionPooler, type DatabaseTarget } from './target.js';

interface DriverOptions {
  readonly purpose: string;
  readonly onNotice?: ((text: string) => void) | undefined;
  /** Asked for every connection that the driver wants; must not reject, the driver would wait for ever. */
  readonly dial: () => Promise<DriverSocket>;
}

/**
 * postgres.js over sockets of ours. Every option that it would otherwise take from an environment variable (`PG…`) is
 * given, with its own default where we have no wish.
 *
 * @throws LoraExportError E_USAGE when PGTARGETSESSIONATTRS, which cannot be overruled, has a value that it refuses
 */
export function createDriver(
  target: DatabaseTarget,
  { purpose, onNotice, dial }: DriverOptions,
): postgres.Sql {
  const options = {
    host: target.host,
    port: target.port,
    user: target.user,
    database: target.database,
    // A function, because an empty password would be replaced by PGPASSWORD.
    password: () => target.password ?? '',
    socket: dial,
    // TLS, time limits and repeated tries are ours.
    ssl: false,
    sslnegotiation: null,
    connect_timeout: 0,
    backoff: () => 0,
    max: 1,
    idle_timeout: 0,
    max_lifetime: null,
    max_pipeline: 100,
    keep_alive: 60,
    prepare: !isTransactionPooler(target),
    fetch_types: false,
    types: arrayTypes(),
    publications: 'alltables',
    debug: false,
    // Transaction poolers refuse most other startup parameters.
    connection: { application_name: `lora-export ${purpose}` },
    // Its default prints to standard output, in the middle of the data.
    onnotice: ({ severity, message }: postgres.Notice) =>
      onNotice?.(safeServerText(`${severity ?? 'NOTICE'}: ${message}`)),
  };
  const sql = construct(options);
  // `sql.array([…])` looks its type up here, where `fetch_types` would have put the answer of the server.
  const typeArrayMap = fieldOf(fieldOf(sql.options, 'shared'), 'typeArrayMap');
  Object.assign(typeArrayMap ?? {}, arrayTypeOf);
  return sql;
}

function construct(options: postgres.Options<Record<string, postgres.PostgresType>>): postgres.Sql {
  try {
    return postgres(options);
  } catch (cause) {
    if (cause instanceof Error && cause.message.startsWith('target_session_attrs')) {
      throw new LoraExportError(
        'E_USAGE',
        'The environment variable PGTARGETSESSIONATTRS has a value that is not supported.',
        {
          hint: 'Unset it.',
          cause,
        },
      );
    }
    throw cause;
  }
}
