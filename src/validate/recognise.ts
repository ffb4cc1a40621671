/** The formats that files are checked as. */
export const FILE_FORMATS = ['jsonl', 'json', 'csv', 'markdown'] as const;
export type FileFormat = (typeof FILE_FORMATS)[number];

/** So many bytes from the start of a file are enough to recognise it. */
export const HEAD_BYTES = 64 * 1024;

const BY_EXTENSION: Readonly<Record<string, FileFormat>> = {
  jsonl: 'jsonl',
  ndjson: 'jsonl',
  csv: 'csv',
  md: 'markdown',
  markdown: 'markdown',
};

/**
 * The format of a file by its name, also behind `.gz`, else by how it starts. A name in `.json` does not decide: JSON
 * Lines often go by it.
 */
export function recognise(name: string | undefined, head: Buffer): FileFormat {
  const extension = /\.([a-z]+)$/i.exec((name ?? '').replace(/\.gz$/i, ''))?.[1]?.toLowerCase() ?? '';
  return (
    BY_EXTENSION[extension] ??
    byStart(
      head
        .toString('utf8')
        .replace(/^\u{feff}/u, '')
        .trimStart(),
    )
  );
}

function byStart(text: string): FileFormat {
  if (text.startsWith('[')) return 'json';
  if (text.startsWith('{')) return isDocument(text) ? 'json' : 'jsonl';
  if (text.startsWith('# Conversation:')) return 'markdown';
  const [firstLine = ''] = text.split('\n', 1);
  return /(?:^|,)"?conversation_id"?(?:,|\r?$)/.test(firstLine) ? 'csv' : 'jsonl';
}

/** One object over several lines, or one that starts as an export in JSON does. */
function isDocument(text: string): boolean {
  if (/^\{\s*"(?:version|export_date|conversation_count)"/.test(text)) return true;
  const [firstLine = ''] = text.split('\n', 1);
  return /^\{\s*$/.test(firstLine);
}
