import type postgres from 'postgres';

/**
 * A name as it goes into a statement. The driver's own `sql(name)` takes a dot for the end of a schema's name, but a
 * schema may be called `a.b`.
 */
export function identifier(sql: postgres.ISql, name: string): postgres.Fragment {
  return sql.unsafe(`"${name.replaceAll('"', '""')}"`);
}
