import { csv } from './csv.js';
import type { Format } from './format.js';
import { json } from './json.js';
import { jsonl } from './jsonl.js';
import { markdown } from './markdown.js';

/** Every format by the name that `--format`, the request and `export_logs.format` use. */
export const formats = { jsonl, json, csv, markdown } satisfies Record<string, Format>;

export type FormatName = keyof typeof formats;

export const formatNames = Object.keys(formats) as FormatName[];
