import { describe, expect, it } from 'vitest';
import {
  conversationsInWords,
  fileInWords,
  filtersInWords,
  limitsInWords,
} from '../../../src/cli/wizard/in-words.js';

describe('conversationsInWords', () => {
  it('names scope, filters and limits', () => {
    expect(conversationsInWords({})).toBe('All approved');
    expect(conversationsInWords({ scope: 'selected', ids: ['a', 'b'] })).toBe('Selected (2)');
    expect(
      conversationsInWords({
        scope: 'filtered',
        filters: { tier: ['template', 'scenario'], qualityScoreMin: 8 },
        excludeStatus: ['draft'],
        limit: 10,
        sort: { key: 'title', order: 'desc' },
      }),
    ).toBe(
      'Current filters; tier template, scenario; quality from 8; not draft; at most 10; by title, descending',
    );
  });

  it('leaves no filter out', () => {
    const all = {
      tier: ['t'],
      status: ['s'],
      qualityScoreMax: 5,
      dateFrom: '2025-01-01',
      dateTo: '2025-02-01',
      categories: ['c'],
      personas: ['p'],
      emotions: ['e'],
      topics: ['o'],
      searchQuery: 'q',
      parentId: 'i',
      createdBy: 'u',
    };
    expect(filtersInWords(all)).toEqual([
      'tier t',
      'status s',
      'category c',
      'persona p',
      'emotion e',
      'topic o',
      'quality to 5',
      'created 2025-01-01 to 2025-02-01',
      'text "q"',
      'made from i',
      'created by u',
    ]);
  });
});

describe('fileInWords', () => {
  it('names format or target and what is not usual', () => {
    expect(fileInWords({})).toBe('JSONL');
    expect(fileInWords({ format: 'csv', gzip: true })).toBe('CSV, compressed');
    expect(fileInWords({ target: 'trl', shape: 'preference', expand: 'pairs', strict: true })).toBe(
      'JSONL for trl (preference), one row per answer, imperfect conversations not allowed',
    );
    expect(fileInWords({ scope: 'selected', systemPrompt: { text: 'x' } })).toBe(
      'JSONL, with a system prompt',
    );
  });
});

describe('limitsInWords', () => {
  it('says what a target asks of a file, or nothing', () => {
    expect(limitsInWords('openai')).toBe('It takes at least 10 rows, at most 512 MiB.');
    expect(limitsInWords('trl')).toBe('');
  });
});
