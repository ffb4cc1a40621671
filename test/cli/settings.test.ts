import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import {
  definitionOf,
  settingKeys,
  type Scalar,
  type SettingKey,
} from '../../src/cli/setting-definitions.js';
import { readSettings, type ConnectionFlags, type Settings } from '../../src/cli/settings.js';
import { LoraExportError } from '../../src/errors.js';

let root: string;
let cwd: string;
let project: string;
let user: string;
let warnings: string[];

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'lora-settings-'));
  cwd = join(root, 'work');
  project = join(cwd, 'lora-export.config.json');
  user = join(root, 'home/.config/lora-export/config.json');
  await Promise.all([mkdir(cwd), mkdir(dirname(user), { recursive: true })]);
  warnings = [];
});

afterEach(() => rm(root, { recursive: true, force: true }));

function read(flags: ConnectionFlags = {}, env: Record<string, string> = {}): Settings {
  const host = {
    cwd,
    platform: 'linux' as const,
    uid: process.getuid?.() ?? null,
    env: { HOME: join(root, 'home'), ...env },
  };
  return readSettings(flags, host, (text) => warnings.push(text));
}

function refusal(flags: ConnectionFlags = {}, env: Record<string, string> = {}): LoraExportError {
  try {
    read(flags, env);
  } catch (error) {
    if (error instanceof LoraExportError && error.code === 'E_USAGE') return error;
    throw error;
  }
  throw new Error('It was not refused.');
}

/** As it stands in a file: `alerts.failureRate` is a member of a member. */
function content(key: SettingKey, value: Scalar): string {
  const [outer, inner] = key.split('.') as [string, string | undefined];
  return JSON.stringify({ [outer]: inner === undefined ? value : { [inner]: value } });
}

/** Valid values that differ from each other and, where that can be, from the default. */
const SAMPLES: Record<SettingKey, readonly [user: Scalar, project: Scalar, variable: Scalar, flag: Scalar]> =
  {
    databaseUrl: ['postgres://a@h/1', 'postgres://b@h/2', 'postgres://c@h/3', 'postgres://d@h/4'],
    userId: [1, 2, 3, 4].map((digit) => `00000000-0000-4000-8000-00000000000${digit}`) as unknown as [
      string,
      string,
      string,
      string,
    ],
    schema: ['one', 'two', 'three', 'four'],
    auditSchema: ['one', 'two', 'three', 'four'],
    directory: ['/one', '/two', '/three', '/four'],
    retentionHours: [1, 0.5, 3, 4],
    format: ['csv', 'json', 'markdown', 'jsonl'],
    target: ['openai', 'gemini', 'trl', 'alpaca'],
    scope: ['all', 'filtered', 'selected', 'approved'],
    jobFrom: [1, 2, 3, 4],
    maxExportsPerHour: [1, 2, 3, 4],
    metricsFile: ['/one', '/two', '/three', '/four'],
    logFormat: ['json', 'text', 'json', 'text'],
    archiveDirectory: ['/one', '/two', '/three', '/four'],
    logRetentionDays: [1, 2, 3, 4],
    legalHold: [true, false, true, false],
    'alerts.failureRate': [0, 0.5, 0.7, 1],
    'alerts.smallExportSeconds': [0.5, 2, 3, 4],
    'alerts.smallExportConversations': [1, 2, 3, 4],
    'alerts.storageBytes': [1, 2, 3, 4],
  };

describe('precedence', () => {
  for (const key of settingKeys) {
    const { default: unset, variables = [], flag } = definitionOf(key);
    const [ofUser, ofProject, ofVariable, ofFlag] = SAMPLES[key];

    test(`of ${key}: default < user's file < project's file < environment < flag`, async () => {
      const settled = (flags: ConnectionFlags = {}, env: Record<string, string> = {}) =>
        read(flags, env).settled[key];
      expect(settled()).toMatchObject({ value: unset, source: 'default', place: 'default' });
      await writeFile(user, content(key, ofUser), { mode: 0o600 });
      expect(settled()).toMatchObject({ value: ofUser, source: 'file', place: user });
      await writeFile(project, content(key, ofProject), { mode: 0o600 });
      expect(settled()).toMatchObject({ value: ofProject, source: 'file', place: project });
      let env: Record<string, string> = {};
      for (const variable of variables.toReversed()) {
        expect(settled({}, { ...env, [variable]: '' })).toMatchObject(settled({}, env));
        env = { ...env, [variable]: String(ofVariable) };
        expect(settled({}, env)).toMatchObject({
          value: ofVariable,
          source: 'environment',
          place: variable,
        });
      }
      if (flag === undefined) return;
      const word = `--${flag.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
      expect(settled({ [flag]: ofFlag }, env)).toMatchObject({ value: ofFlag, source: 'flag', place: word });
      expect(warnings).toEqual([]);
    });
  }

  test('the first of two variables wins', () => {
    const env = { DATABASE_URL: 'postgres://a@h/1', LORA_EXPORT_DATABASE_URL: 'postgres://b@h/2' };
    expect(read({}, env).databaseUrl).toEqual({
      value: 'postgres://b@h/2',
      origin: 'LORA_EXPORT_DATABASE_URL',
    });
  });

  test('a variable that is set wins over the same one of --dotenv, which is named as what it is', async () => {
    await writeFile(join(cwd, 'some.env'), 'LORA_EXPORT_USER_ID=me\nLORA_EXPORT_SCHEMA=from_file\n');
    const id = String(SAMPLES.userId[0]);
    const { settled } = read({ dotenv: 'some.env' }, { LORA_EXPORT_USER_ID: id });
    expect(settled.userId).toMatchObject({ value: id, place: 'LORA_EXPORT_USER_ID' });
    expect(settled.schema).toMatchObject({ value: 'from_file', place: 'LORA_EXPORT_SCHEMA in some.env' });
    expect(refusal({ dotenv: 'some.env' }).message).toBe(
      'LORA_EXPORT_USER_ID in some.env must be a UUID, not "me".',
    );
  });

  test('files are merged key by key, inside alerts and presets too', async () => {
    const alerts = { failureRate: 0.2, storageBytes: 5 };
    await writeFile(
      user,
      JSON.stringify({
        schema: 'u',
        auditSchema: 'u',
        alerts,
        presets: { a: { limit: 1 }, b: { limit: 1 } },
      }),
    );
    await writeFile(
      project,
      JSON.stringify({ schema: 'p', alerts: { storageBytes: 6 }, presets: { b: { limit: 2 } } }),
    );
    const settings = read();
    expect(settings).toMatchObject({ schema: 'p', auditSchema: 'u' });
    expect(settings.alerts).toEqual({
      failureRate: 0.2,
      storageBytes: 6,
      smallExportSeconds: 60,
      smallExportConversations: 100,
    });
    expect([...settings.presets].toSorted(([one], [other]) => (one < other ? -1 : 1))).toEqual([
      ['a', { preset: { limit: 1 }, path: user }],
      ['b', { preset: { limit: 2 }, path: project }],
    ]);
  });

  test('places are ranked, for settings that exclude each other', async () => {
    await writeFile(user, '{"target": "trl", "scope": "all"}');
    await writeFile(project, '{"format": "csv"}');
    const { format, target, scope, jobFrom, schema, directory } = read(
      { schema: 'typed' },
      { LORA_EXPORT_DIR: '/d' },
    ).settled;
    const ranks = [jobFrom, target, format, directory, schema].map(({ rank }) => rank);
    expect(ranks).toEqual([...new Set(ranks)].toSorted((one, other) => one - other));
    expect(scope.rank).toBe(target.rank);
  });

  test('a named file stands alone, the flag before the variable', async () => {
    await writeFile(user, '{"schema": "user"}');
    await writeFile(project, '{"auditSchema": "project"}');
    await writeFile(join(cwd, 'a.json'), '{"jobFrom": 7}');
    await writeFile(join(cwd, 'b.json'), '{"jobFrom": 8}');
    const none = { schema: 'public', auditSchema: 'public' };
    expect(read({}, { LORA_EXPORT_CONFIG: 'b.json' })).toMatchObject({ ...none, jobFrom: 8 });
    expect(read({ config: 'a.json' }, { LORA_EXPORT_CONFIG: 'b.json' })).toMatchObject({
      ...none,
      jobFrom: 7,
    });
  });
});

describe('a path', () => {
  it('starts where it is written: at the file, even one behind a link, or at the working directory', async () => {
    await writeFile(user, '{"directory": "exports", "metricsFile": "../m.jsonl"}');
    expect(read()).toMatchObject({
      directory: join(dirname(user), 'exports'),
      metricsFile: join(dirname(dirname(user)), 'm.jsonl'),
    });
    await symlink(user, project);
    expect(read().directory).toBe(join(cwd, 'exports'));
    expect(read({}, { LORA_EXPORT_DIR: 'here' }).directory).toBe(join(cwd, 'here'));
    expect(read({ archiveDir: 'there' }).archiveDirectory).toBe(join(cwd, 'there'));
  });

  it('of the configuration directory is XDG_CONFIG_HOME when that is absolute', async () => {
    await writeFile(user, '{"schema": "home"}');
    const other = join(root, 'xdg/lora-export/config.json');
    await mkdir(dirname(other), { recursive: true });
    await writeFile(other, '{"schema": "xdg"}');
    expect(read({}, { XDG_CONFIG_HOME: join(root, 'xdg') }).schema).toBe('xdg');
    expect(read({}, { XDG_CONFIG_HOME: 'xdg' }).schema).toBe('home');
  });
});

describe('a configuration file is refused', () => {
  const cases: readonly (readonly [content: string, ...says: string[]])[] = [
    ['{"auditSchem": "x"}', 'auditSchem: not known (did you mean auditSchema?)'],
    ['{"audit_schema": "x"}', 'did you mean auditSchema?'],
    ['{"password": "x"}', 'password: not known (known are databaseUrl, '],
    ['{"alerts": {"storage": 1}}', 'alerts.storage: not known (known are failureRate, '],
    ['{"alerts": {"failureRates": 1}}', 'did you mean failureRate?'],
    ['{"alerts": {"failureRate": 10}}', 'alerts.failureRate: must be a number from 0 to 1'],
    ['{"alerts": 5}', 'alerts: ', 'expected object'],
    ['{"jobFrom": 0}', 'jobFrom: must be a whole number from 1 to 2147483647'],
    ['{"jobFrom": 1.5}', 'jobFrom: must be a whole number'],
    ['{"jobFrom": "500"}', 'jobFrom: must be a whole number'],
    ['{"legalHold": "no"}', 'legalHold: must be true or false'],
    ['{"logFormat": "xml"}', 'logFormat: must be one of text, json'],
    ['{"target": "opnai"}', 'target: must be one of openai, '],
    ['{"maxExportsPerHour": null}', 'maxExportsPerHour: must be a whole number'],
    ['{"jobFrom": 1, "jobFrom": 2}', '"jobFrom" twice'],
    ['{"presets": {"a": {}, "a": {}}}', '"a" twice'],
    ['{"presets": []}', 'presets: ', 'expected record'],
    ['{"presets": {"two words": {}}}', 'presets.two words: no name for a preset'],
    ['{"presets": {"__proto__": {"limit": 1}}}', '__proto__'],
    ['{"presets": {"a": {"output": {"kind": "stream"}}}}', 'presets.a.output: not known'],
    ['{"presets": {"a": {"userId": "x"}}}', 'presets.a.userId: not known'],
    ['{"presets": {"a": {"scop": "all"}}}', 'presets.a.scop: not known (did you mean scope?)'],
    ['{"presets": {"a": {"filters": {"tiers": ["x"]}}}}', 'presets.a.filters.tiers', 'did you mean tier?'],
    ['{"presets": {"a": {"content": {"includeMetdata": true}}}}', 'did you mean includeMetadata?'],
    ['{"presets": {"a": {"limit": 0}}}', 'presets.a.limit: must be at least 1'],
    ['{"presets": {"a": {"rules": {"no-turns": "explode"}}}}', 'presets.a.rules.no-turns: must be one of'],
    ['{"schema": 5, "jobFrom": 0}', 'schema: must be a non-empty string', 'jobFrom: must be'],
  ];
  for (const [text, ...says] of cases) {
    test(text, async () => {
      await writeFile(project, text);
      const { message } = refusal();
      for (const words of [project, ...says]) expect(message).toContain(words);
    });
  }

  test('when it is larger than 1 MiB', async () => {
    await writeFile(project, `{"schema": "${'x'.repeat(1024 * 1024)}"}`);
    expect(refusal().message).toBe(`Cannot read ${project} (--config): it is too large, more than 1 MiB.`);
  });

  test('when it is a directory, or below a file', async () => {
    await mkdir(project);
    expect(refusal().message).toContain('it is a directory');
    await rm(project, { recursive: true });
    await writeFile(join(cwd, 'file'), '');
    expect(refusal({ config: 'file/config.json' }).message).toContain('ENOTDIR');
  });
});

describe('a configuration file is doubted', () => {
  test('when others can write it, or read the password in it', async () => {
    await writeFile(project, '{"databaseUrl": "postgres://u:p%40@h/d"}');
    await chmod(project, 0o600);
    read();
    expect(warnings).toEqual([]);
    await chmod(project, 0o644);
    read();
    expect(warnings.splice(0)).toEqual([
      `${project} holds a password, and other users can read it: chmod 600.`,
    ]);
    await chmod(project, 0o602);
    read();
    expect(warnings.splice(0)).toEqual([
      `${project} can be changed by every user of this machine: chmod o-w.`,
    ]);
    await writeFile(project, '{"databaseUrl": "postgres://u@h/d"}');
    await chmod(project, 0o644);
    read();
    expect(warnings).toEqual([]);
  });
});

describe('a variable is refused', () => {
  const cases: readonly (readonly [variable: string, value: string, says: string])[] = [
    ['LORA_EXPORT_JOB_FROM', '0', 'must be a whole number from 1 to 2147483647, not "0"'],
    ['LORA_EXPORT_JOB_FROM', '5e2', 'not "5e2"'],
    ['LORA_EXPORT_FORMAT', 'exe', 'must be one of jsonl, '],
    ['LORA_EXPORT_LEGAL_HOLD', 'yes', 'must be true or false, not "yes"'],
    ['LORA_EXPORT_LOG_FORMAT', 'JSON', 'must be one of text, json'],
  ];
  for (const [variable, value, says] of cases) {
    test(`${variable}=${value}`, () => {
      const { message } = refusal({}, { [variable]: value });
      expect(message.startsWith(`${variable} must be`)).toBe(true);
      expect(message).toContain(says);
    });
  }

  test('not when it is a plain word for true or false', () => {
    expect(read({}, { LORA_EXPORT_LEGAL_HOLD: '1' }).legalHold).toBe(true);
    expect(read({}, { LORA_EXPORT_LEGAL_HOLD: '0' }).legalHold).toBe(false);
  });
});
