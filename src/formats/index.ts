import type { Format } from './format.js';

/** What is known of a format without loading it. */
interface RegisteredFormat {
  /** Without the dot. */
  readonly extension: string;
  readonly mediaType: string;
  load(): Promise<Format>;
}

/**
 * Every format by the name that `--format`, the request and `export_logs.format` use. Most commands need only the names,
 * and an export one format: each is loaded where it is used.
 */
export const formats = {
  jsonl: {
    extension: 'jsonl',
    mediaType: 'application/x-ndjson',
    load: async () => (await import('./jsonl.js')).jsonl,
  },
  json: {
    extension: 'json',
    mediaType: 'application/json',
    load: async () => (await import('./json.js')).json,
  },
  csv: { extension: 'csv', mediaType: 'text/csv', load: async () => (await import('./csv.js')).csv },
  markdown: {
    extension: 'md',
    mediaType: 'text/markdown',
    load: async () => (await import('./markdown.js')).markdown,
  },
} satisfies Record<string, RegisteredFormat>;

export type FormatName = keyof typeof formats;

export const formatNames = Object.keys(formats) as FormatName[];
