import type { Format } from './format.js';
import { jsonl } from './jsonl.js';

/** Every format by the name that `--format`, the request and `export_logs.format` use. */
export const formats = { jsonl } satisfies Record<string, Format>;

export type FormatName = keyof typeof formats;

export const formatNames = Object.keys(formats) as FormatName[];
