import { Chalk } from 'chalk';
import { expect, it } from 'vitest';

import { doctorJson, doctorText } from '../../src/cli/render-doctor.js';
import type { Diagnosis } from '../../src/doctor.js';
import { failed, ok, skipped, warning } from '../../src/doctor/finding.js';

const diagnosis: Diagnosis = {
  ok: false,
  checks: [
    { name: 'settings', ...ok('fine') },
    { name: 'tls', ...warning('weak', 'Strengthen it.') },
    { name: 'source', ...failed('E_DB_ACCESS', 'refused', 'Grant it.', ['grant a to b;', 'grant c to d;']) },
    { name: 'indexes', ...skipped('needs the source tables') },
  ],
};

it('aligns what it says, fix and statements below the check', () => {
  expect(doctorText(diagnosis, { chalk: new Chalk({ level: 0 }), utf8: false })).toBe(`\
ok       settings      fine
warning  tls           weak
                       -> Strengthen it.
failed   source        refused
                       -> Grant it.
                         grant a to b;
                         grant c to d;
skipped  indexes       needs the source tables

1 ok, 1 warning, 1 failed, 1 skipped
`);
});

it('colours the status alone, and only where it is told to', () => {
  const lines = doctorText(diagnosis, { chalk: new Chalk({ level: 1 }), utf8: true }).split('\n');
  expect(lines[0]).toBe('\u{1b}[32mok     \u{1b}[39m  settings      fine');
  expect(lines[3]?.startsWith('\u{1b}[31mfailed ')).toBe(true);
  expect(lines[2]).toBe(`${' '.repeat(23)}→ Strengthen it.`);
});

it('gives programs the kind and the exit code of a failure', () => {
  expect(JSON.parse(doctorJson(diagnosis))).toMatchObject({
    ok: false,
    checks: [
      { name: 'settings', kind: null, code: null, fix: null, sql: [] },
      {},
      { kind: 'E_DB_ACCESS', code: 21, sql: ['grant a to b;', 'grant c to d;'] },
      {},
    ],
  });
});
