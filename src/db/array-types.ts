import type postgres from 'postgres';

/** Element type → array type: fixed OIDs of PostgreSQL (src/include/catalog/pg_type.dat). */
export const arrayTypeOf: Readonly<Record<number, number>> = {
  16: 1000, // boolean
  18: 1002, // "char"
  19: 1003, // name
  20: 1016, // bigint
  21: 1005, // smallint
  23: 1007, // integer
  25: 1009, // text
  26: 1028, // oid
  114: 199, // json
  700: 1021, // real
  701: 1022, // double precision
  1042: 1014, // character
  1043: 1015, // character varying
  1082: 1182, // date
  1114: 1115, // timestamp
  1184: 1185, // timestamp with time zone
  1700: 1231, // numeric
  2950: 2951, // uuid
  3802: 3807, // jsonb
};

const parsers = new Map<number, (text: string) => unknown>([
  [16, (text) => text === 't'],
  [21, Number],
  [23, Number],
  [26, Number],
  [700, Number],
  [701, Number],
  [114, (text) => JSON.parse(text) as unknown],
  [3802, (text) => JSON.parse(text) as unknown],
]);

/**
 * Arrays of the built-in types for the driver's `types` option. The driver can ask the server for them
 * (`fetch_types`), but a connection that dies during that question is an unhandled rejection nobody can catch, and
 * its own parser turns NULL into the text "NULL". As in the driver, bigint and numeric stay text; so do dates here.
 */
export function arrayTypes(): Record<string, postgres.PostgresType> {
  return Object.fromEntries(
    Object.entries(arrayTypeOf).map(([element, array]) => [
      `arrayOf${element}`,
      {
        to: array,
        from: [array],
        serialize: serializeArray,
        parse: (text: string) => parseArray(text, parsers.get(Number(element)) ?? String),
      },
    ]),
  );
}

function serializeArray(value: unknown): string {
  if (!Array.isArray(value)) {
    return String(value);
  }
  return `{${value.map((element: unknown) => (Array.isArray(element) ? serializeArray(element) : serializeElement(element))).join()}}`;
}

function serializeElement(element: unknown): string {
  if (element === null || element === undefined) {
    return 'NULL';
  }
  const text =
    element instanceof Date
      ? element.toISOString()
      : typeof element === 'string' || typeof element === 'number' || typeof element === 'bigint'
        ? element.toString()
        : JSON.stringify(element);
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}

/** PostgreSQL documentation, "Array Input and Output Syntax". */
function parseArray(text: string, parse: (text: string) => unknown): unknown[] {
  // Bounds other than 1 stand in front: `[0:1]={a,b}`.
  const tokens = text.slice(text.indexOf('{')).matchAll(/[{}]|"((?:[^"\\]|\\.)*)"|[^{},"]+/gs);
  const all: unknown[][] = [];
  const stack: unknown[][] = [all];
  for (const [token, quoted] of tokens) {
    if (token === '{') {
      stack.push([]);
    } else if (token === '}') {
      const done = stack.pop();
      stack.at(-1)?.push(done);
    } else if (quoted !== undefined) {
      stack.at(-1)?.push(parse(quoted.replace(/\\(.)/gs, '$1')));
    } else {
      stack.at(-1)?.push(token === 'NULL' ? null : parse(token));
    }
  }
  return all[0] ?? [];
}
