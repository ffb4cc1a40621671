import { describe, expect, it } from 'vitest';
import { z } from 'zod';

import { LoraExportError } from '../src/errors.js';
import { formatNames } from '../src/formats/index.js';
import {
  invalidRequest,
  isWholeDay,
  parseFilters,
  parseRequest,
  SCOPES,
  SORT_KEYS,
  type ExportRequestInput,
} from '../src/request.js';

const UUID = '5a1e3c1e-8d9f-4c55-9d3e-0c8f3f1f2a3b';

function problemOf(input: unknown): string {
  try {
    parseRequest(input as ExportRequestInput);
  } catch (error) {
    expect(error).toBeInstanceOf(LoraExportError);
    expect(error).toMatchObject({ code: 'E_USAGE', exitStatus: 2 });
    return (error as LoraExportError).message;
  }
  throw new Error('The request was accepted.');
}

function filterProblem(filters: unknown): string {
  try {
    parseFilters(filters);
  } catch (error) {
    expect(error).toBeInstanceOf(z.ZodError);
    return invalidRequest(error as z.ZodError, 'The filter').message;
  }
  throw new Error('The filters were accepted.');
}

describe('a request', () => {
  it('has these defaults', () => {
    expect(parseRequest({})).toEqual({
      format: 'jsonl',
      scope: 'approved',
      ignoreMissing: false,
      filters: {},
      sort: { key: 'created_at', order: 'asc' },
      content: {
        includeMetadata: true,
        includeQualityScores: true,
        includeTimestamps: true,
        includeApprovalHistory: false,
        includeParentReferences: false,
        includeFullContent: true,
      },
      layout: { compact: false, bom: true, rawCells: false },
      output: { kind: 'stream' },
      tokens: false,
      gzip: false,
      force: false,
      strict: false,
      allowEmpty: false,
      batchSize: 100,
      retentionHours: 24,
      schema: 'public',
      auditSchema: 'public',
      allUsers: false,
      requireAll: false,
    });
  });

  it('gives every call defaults of its own', () => {
    expect(parseRequest({}).filters).not.toBe(parseRequest({}).filters);
    expect(parseRequest({}).content).not.toBe(parseRequest({}).content);
  });

  it('fills in the flags that a content object leaves out', () => {
    expect(parseRequest({ content: { includeMetadata: false } }).content).toEqual({
      includeMetadata: false,
      includeQualityScores: true,
      includeTimestamps: true,
      includeApprovalHistory: false,
      includeParentReferences: false,
      includeFullContent: true,
    });
  });

  it('accepts every scope, format and sort key that there is', () => {
    for (const format of formatNames) expect(parseRequest({ format }).format).toBe(format);
    for (const key of SORT_KEYS) expect(parseRequest({ sort: { key, order: 'desc' } }).sort.key).toBe(key);
    for (const scope of SCOPES) {
      const input: ExportRequestInput = {
        scope,
        ...(scope === 'selected' ? { ids: ['a'] } : {}),
        ...(scope === 'filtered' ? { filters: { tier: ['edge'] } } : {}),
      };
      expect(parseRequest(input).scope).toBe(scope);
    }
  });

  it.each<[string, ExportRequestInput]>([
    ['the smallest limit', { limit: 1 }],
    ['the largest limit', { limit: 2_147_483_647 }],
    ['the smallest batch', { batchSize: 1 }],
    ['the largest batch', { batchSize: 10_000 }],
    ['the most connections', { jobs: 16 }],
    ['part of an hour of retention', { retentionHours: 0.5 }],
    ['filters on top of any scope', { scope: 'approved', filters: { tier: ['edge'] } }],
    ['statuses to leave out', { scope: 'all', excludeStatus: ['rejected'] }],
    ['a user', { userId: UUID }],
    ['every kind of output', { output: { kind: 'managed', directory: 'd' } }],
    ['equal bounds', { filters: { qualityScoreMin: 8, qualityScoreMax: 8 } }],
    ['one whole day', { filters: { dateFrom: '2025-10-29', dateTo: '2025-10-29' } }],
    ['a time within the last day', { filters: { dateFrom: '2025-10-29T23:59:59Z', dateTo: '2025-10-29' } }],
    ['times with offsets', { filters: { dateFrom: '2025-10-29T10:00:00+02:00' } }],
  ])('accepts %s', (_what, input) => {
    expect(parseRequest(input)).toMatchObject(input);
  });

  it.each<[unknown, string]>([
    [{ format: 'xml' }, `format: must be one of ${formatNames.join(', ')}`],
    [{ scope: 'everything' }, 'scope: must be one of selected, filtered, approved, all'],
    [{ scope: 'selected' }, 'ids: scope selected needs the ids of the conversations'],
    [{ scope: 'selected', ids: [] }, 'ids: must name at least one conversation'],
    [{ scope: 'selected', ids: ['a', ''] }, 'ids.1: must not be empty'],
    [{ scope: 'selected', ids: ['a\0'] }, 'ids.0: must not hold a NUL character'],
    [{ ids: ['a'] }, 'ids: ids go with scope selected only'],
    [
      { scope: 'filtered' },
      'filters: scope filtered needs at least one filter; scope all exports everything',
    ],
    [{ filters: { tier: [] } }, 'filters.tier: must name at least one value'],
    [{ filters: { qualityScoreMin: -1 } }, 'filters.qualityScoreMin: must be between 0 and 10'],
    [{ filters: { qualityScoreMax: 10.5 } }, 'filters.qualityScoreMax: must be between 0 and 10'],
    [
      { filters: { qualityScoreMin: 9, qualityScoreMax: 8 } },
      'filters.qualityScoreMin: must not be greater than qualityScoreMax',
    ],
    [
      { filters: { dateFrom: '2025-10-30', dateTo: '2025-10-29' } },
      'filters.dateFrom: must not be after dateTo',
    ],
    [
      { filters: { dateFrom: '29.10.2025' } },
      'filters.dateFrom: must be a date such as 2025-10-29, or a time with its zone such as 2025-10-29T10:00:00Z',
    ],
    [{ filters: { dateFrom: '2025-02-30' } }, 'filters.dateFrom: must be a date'],
    [{ filters: { dateTo: '2025-10-29T10:00:00' } }, 'filters.dateTo: must be a date'],
    [{ sort: { key: 'id', order: 'asc' } }, `sort.key: must be one of ${SORT_KEYS.join(', ')}`],
    [{ limit: 0 }, 'limit: must be at least 1'],
    [{ limit: 1.5 }, 'limit: must be a whole number'],
    [{ limit: 2_147_483_648 }, 'limit: must be at most 2147483647'],
    [{ batchSize: 0 }, 'batchSize: must be at least 1'],
    [{ batchSize: 10_001 }, 'batchSize: must be at most 10000'],
    [{ batchSize: 0.5 }, 'batchSize: must be a whole number'],
    [{ jobs: 0 }, 'jobs: must be at least 1'],
    [{ jobs: 17 }, 'jobs: must be at most 16'],
    [{ retentionHours: 0 }, 'retentionHours: must be greater than 0'],
    [{ retentionHours: 24 * 3660 + 1 }, 'retentionHours: must be at most ten years'],
    [{ schema: '' }, 'schema: must not be empty'],
    [{ auditSchema: 'a\0' }, 'auditSchema: must not hold a NUL character'],
    [{ userId: 'ann' }, 'userId: must be a UUID'],
    [{ excludeStatus: [] }, 'excludeStatus: must name at least one value'],
    [
      { format: 'jsonl', content: { includeFullContent: false } },
      'content: jsonl without the turns teaches nothing: leave includeFullContent on',
    ],
    [{ output: { kind: 'file' } }, 'output.path: '],
    [{ output: { kind: 'file', path: '' } }, 'output.path: must not be empty'],
    [{ output: { kind: 'printer' } }, 'output.kind: '],
    [{ strict: 'yes' }, 'strict: '],
  ])('is refused when it is %j', (input, problem) => {
    expect(problemOf(input)).toContain(`The request is not valid: ${problem}`);
  });

  it.each<[unknown]>([
    [{ fromat: 'jsonl' }],
    [{ filters: { tiers: ['edge'] } }],
    [{ content: { includeEverything: true } }],
    [{ sort: { key: 'tier', order: 'asc', nulls: 'last' } }],
    [{ output: { kind: 'stream', path: 'x' } }],
  ])('is refused for a key that nobody knows: %j', (input) => {
    expect(problemOf(input)).toMatch(/Unrecognized key: "\w+"/);
  });

  it('is refused when it names more than a million conversations', () => {
    const ids = Array<string>(1_000_001).fill('a');
    expect(() => parseRequest({ scope: 'selected', ids })).toThrow(
      'ids: must name at most 1000000 conversations',
    );
  });

  it.each([[null], [1], ['{}'], [[]]])('is refused when it is %j and not an object', (input) => {
    expect(problemOf(input)).toContain('The request is not valid: ');
  });

  it('tells every problem at once', () => {
    const problem = problemOf({ format: 'xml', limit: 0, filters: { tier: [] } });
    for (const path of ['format: ', 'limit: ', 'filters.tier: ']) expect(problem).toContain(path);
  });

  it('counts a filter that is there but undefined as none, so that filtered never means everything', () => {
    expect(problemOf({ scope: 'filtered', filters: { tier: undefined } })).toContain('at least one filter');
  });
});

describe('filters', () => {
  const inOurSpelling = {
    tier: ['edge'],
    status: ['approved'],
    qualityScoreMin: 7,
    qualityScoreMax: 9.5,
    dateFrom: '2025-10-01',
    dateTo: '2025-10-31T12:00:00Z',
    categories: ['c'],
    personas: ['p'],
    emotions: ['e'],
    searchQuery: '100%_',
    parentId: 'parent',
    createdBy: UUID,
  };

  it('are read in the spelling of the application', () => {
    expect(parseFilters({ ...inOurSpelling, topics: ['t'] })).toEqual({ ...inOurSpelling, topics: ['t'] });
  });

  it('are read in the newer spelling and mean the same', () => {
    expect(
      parseFilters({
        tierTypes: ['edge'],
        statuses: ['approved'],
        qualityRange: { min: 7, max: 9.5 },
        dateRange: { from: '2025-10-01', to: '2025-10-31T12:00:00Z' },
        categories: ['c'],
        personas: ['p'],
        emotions: ['e'],
        searchQuery: '100%_',
        parentId: 'parent',
        createdBy: UUID,
      }),
    ).toEqual(inOurSpelling);
  });

  it('may have open ranges in the newer spelling, and no member of them is left undefined', () => {
    const parsed = parseFilters({ qualityRange: { min: 7 }, dateRange: { to: '2025-10-31' } });
    expect(parsed).toStrictEqual({ qualityScoreMin: 7, dateTo: '2025-10-31' });
    expect(parseFilters({ qualityRange: {} })).toStrictEqual({});
  });

  it('may be none', () => {
    expect(parseFilters({})).toEqual({});
  });

  it.each<[unknown, string]>([
    [{ tier: ['a'], tierTypes: ['a'] }, 'Unrecognized key: "tier"'],
    [{ tierTypes: [] }, 'tierTypes: must name at least one value'],
    [{ qualityRange: { min: 11 } }, 'qualityRange.min: must be between 0 and 10'],
    [{ qualityRange: { low: 1 } }, 'Unrecognized key: "low"'],
    [{ qualityRange: { min: 9, max: 8 } }, 'must not be greater than qualityScoreMax'],
    [{ dateRange: { from: '2025-10-02', to: '2025-10-01' } }, 'must not be after dateTo'],
    [{ dateRange: { from: 'yesterday' } }, 'dateRange.from: must be a date'],
    [{ tiers: ['a'] }, 'Unrecognized key: "tiers"'],
    [{ tier: 'edge' }, 'tier: '],
    [{ searchQuery: '' }, 'searchQuery: must not be empty'],
    [null, 'The filter is not valid'],
    [[], 'The filter is not valid'],
    ['tier', 'The filter is not valid'],
  ])('are refused when they are %j', (filters, problem) => {
    expect(filterProblem(filters)).toContain(problem);
  });

  it('take nothing from a prototype that a file plants', () => {
    expect(filterProblem(JSON.parse('{"__proto__":{"tier":["edge"]}}'))).toContain('__proto__');
    expect(({} as Record<string, unknown>)['tier']).toBeUndefined();
  });
});

describe('isWholeDay', () => {
  it('tells a day from a point in time', () => {
    expect(isWholeDay('2025-10-29')).toBe(true);
    expect(isWholeDay('2025-10-29T00:00:00Z')).toBe(false);
  });
});
