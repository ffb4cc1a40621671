import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { importConversations } from '../src/import.js';
import { targets } from '../src/targets/all.js';
import { targetNames } from '../src/targets/index.js';
import { createValidator } from '../src/validate.js';
import { createDatabase, type TestDatabase } from './support/database.js';
import { runExport } from './support/export.js';

const DATA = new URL('../../shared/data/', import.meta.url);
const FILES = ['conversations.ndjson.gz', 'nasty.ndjson.gz'];

const hasData = FILES.every((file) => existsSync(new URL(file, DATA)));
if (!hasData) {
  process.stderr.write(`SKIPPED: the tests with real text need ${FILES.join(' and ')} in ../shared/data.\n`);
}

const hasPython = (() => {
  try {
    execFileSync('python3', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    process.stderr.write('SKIPPED: python3 is missing, so exports are read back with JSON.parse only.\n');
    return false;
  }
})();

/** A line of the source files, as far as an export shows it. */
interface SourceLine {
  readonly conversation_id: string;
  readonly title: string | null;
  readonly status: string;
  readonly tier: string;
  readonly quality_score: number | null;
  readonly persona: string | null;
  readonly emotion: string | null;
  readonly topic: string | null;
  readonly parent_type: string | null;
  /** The database, and so the import, spells `performed_by` in the way of the application. */
  readonly review_history: readonly { readonly performed_by: string }[];
  readonly created_at: string;
  readonly updated_at: string;
  readonly turns: readonly { readonly role: string; readonly content: string }[];
}

/** One exported conversation as an independent reader sees it: contents by their SHA-256 in UTF-8. */
type Read = [id: string, turns: [role: string, sha256: string][]];

const PYTHON_READER = `
import hashlib, json, sys
data = open(sys.argv[1], 'rb').read()
lines = data.decode('utf-8', 'strict').splitlines(True)
assert all(line.endswith('\\n') for line in lines), 'a line ends in something else'
assert len(lines) == data.count(b'\\n'), 'a reader that splits at other separators sees other lines'
for line in lines:
    record = json.loads(line)
    turns = [[m['role'], hashlib.sha256(m['content'].encode('utf-8')).hexdigest()] for m in record['messages']]
    assert all(list(m) == ['role', 'content'] for m in record['messages'])
    print(json.dumps([record['metadata']['conversation_id'], turns]))
`;

const sha256 = (text: string): string => createHash('sha256').update(text, 'utf8').digest('hex');

function readBack(path: string, text: string): Read[] {
  if (hasPython) {
    const printed = execFileSync('python3', ['-c', PYTHON_READER, path], { maxBuffer: 1 << 28 });
    return printed
      .toString()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Read);
  }
  return text
    .trimEnd()
    .split('\n')
    .map((line) => {
      const { messages, metadata } = JSON.parse(line) as {
        messages: SourceLine['turns'];
        metadata: { conversation_id: string };
      };
      return [metadata.conversation_id, messages.map(({ role, content }) => [role, sha256(content)])];
    });
}

/** Why a conversation must not be exported, by the rules as the documentation tells them; null when it may. */
function reasonToSkip({ turns }: SourceLine): string | null {
  const roles = turns.map(({ role }) => role);
  if (roles.length === 0) return 'no-turns';
  if (!roles.includes('assistant')) return 'no-assistant';
  if (!roles.includes('user')) return 'no-user';
  if (roles.some((role) => !['system', 'user', 'assistant'].includes(role))) return 'unknown-role';
  const blank = turns.filter(({ content }) => /^\s*$/u.test(content));
  if (blank.length > 0)
    return blank.some(({ role }) => role === 'assistant') ? 'blank-answer' : 'blank-content';
  const first = roles.findIndex((role) => role !== 'system');
  if (roles[first] === 'assistant') return 'starts-with-assistant';
  if (roles.includes('system', first)) return 'late-system';
  return null;
}

describe.skipIf(!hasData)('with real conversations and strings that break software', () => {
  let database: TestDatabase;
  let directory: string;
  let source: SourceLine[];

  beforeAll(async () => {
    database = await createDatabase('ready');
    directory = await mkdtemp(join(tmpdir(), 'lora-data-'));
    source = [];
    for (const file of FILES) {
      const url = new URL(file, DATA);
      const bytes = gunzipSync(await readFile(url)).toString('utf8');
      source.push(
        ...bytes
          .split('\n')
          .filter((line) => line !== '')
          .map((line) => JSON.parse(line) as SourceLine),
      );
      await importConversations(
        database.sql,
        { name: file, open: () => createReadStream(fileURLToPath(url)) },
        { schema: 'public' },
      );
    }
  });
  afterAll(async () => {
    await database.drop();
    await rm(directory, { recursive: true });
  });

  it.each(['approved', 'all'] as const)(
    'exports scope %s byte for byte, and skips what it must',
    async (scope) => {
      const path = join(directory, `${scope}.jsonl`);
      const exported = await runExport(database, {
        scope,
        output: { kind: 'file', path },
        content: { includeApprovalHistory: true, includeParentReferences: true },
      });
      const expected = source.filter(({ status }) => scope === 'all' || status === 'approved');
      const sound = expected.filter((line) => reasonToSkip(line) === null);

      const { counts } = exported.result;
      expect(counts).toMatchObject({
        matched: expected.length,
        written: sound.length,
        skipped: expected.length - sound.length,
        turns: sound.reduce((sum, { turns }) => sum + turns.length, 0),
      });
      expect(counts.written + counts.skipped).toBe(counts.matched);

      const read = readBack(path, exported.text);
      expect(read).toHaveLength(sound.length);
      const byId = new Map(sound.map((line) => [line.conversation_id, line]));
      const different = read.filter(
        ([id, turns]) =>
          JSON.stringify(turns) !==
          JSON.stringify(byId.get(id)?.turns.map(({ role, content }) => [role, sha256(content)])),
      );
      expect(different.map(([id]) => id)).toEqual([]);
      expect(new Set(read.map(([id]) => id)).size).toBe(sound.length);

      const skipped = exported.reports.filter(({ action }) => action === 'skipped');
      expect(Object.fromEntries(skipped.map(({ conversation_id, rule }) => [conversation_id, rule]))).toEqual(
        Object.fromEntries(
          expected.flatMap((line) => {
            const reason = reasonToSkip(line);
            return reason === null ? [] : [[line.conversation_id, reason]];
          }),
        ),
      );
      expect(skipped.length, 'the data holds something to skip').toBeGreaterThan(0);
    },
  );

  it.each(targetNames)(
    'loses nothing unaccounted for on the way to %s, and writes what it checks',
    async (target) => {
      const { result, bytes } = await runExport(database, { scope: 'all', target });
      const { matched, written, skipped, rows } = result.counts;
      expect(matched).toBe(source.length);
      expect(written + skipped).toBe(matched);
      expect(rows).toBe(bytes.toString('utf8').split('\n').length - 1);
      const validator = createValidator({ target: targets[target], targetName: target });
      validator.write(bytes);
      const { errors, limits } = validator.end();
      expect({ errors, limits }).toEqual({ errors: 0, limits: [] });
    },
  );

  it('keeps the metadata, in the order of creation', async () => {
    const { lines } = await runExport(database, {
      scope: 'all',
      content: { includeApprovalHistory: true, includeParentReferences: true },
    });
    const byId = new Map(source.map((line) => [line.conversation_id, line]));
    const milliseconds = (time: string): string =>
      time.replace(/(\.\d{3})\d*Z$/, '$1Z').replace(/(:\d\d)Z$/, '$1.000Z');
    for (const { metadata = {} } of lines) {
      const { parent_id, ...rest } = metadata;
      const line = byId.get(metadata['conversation_id'] as string) as SourceLine;
      expect(rest).toEqual({
        conversation_id: line.conversation_id,
        title: line.title,
        tier: line.tier,
        quality_score: line.quality_score,
        created_at: milliseconds(line.created_at),
        updated_at: milliseconds(line.updated_at),
        review_history: line.review_history.map(({ performed_by: performedBy, ...event }) => ({
          ...event,
          performedBy,
        })),
        parent_type: line.parent_type,
        persona: line.persona,
        emotion: line.emotion,
        topic: line.topic,
      });
      expect(typeof parent_id).toBe(line.parent_type === null ? 'object' : 'string');
    }
    const order = lines.map(
      ({ metadata }) => byId.get(metadata?.['conversation_id'] as string)?.created_at ?? '',
    );
    expect(order).toEqual(order.toSorted());
  });

  it('warns of conversations that end on a user, and writes them', async () => {
    const { result } = await runExport(database, { scope: 'all' });
    const ending = source.filter((line) => reasonToSkip(line) === null && line.turns.at(-1)?.role === 'user');
    expect(result.counts.warnings['ends-with-user']?.count).toBe(ending.length);
  });
});
