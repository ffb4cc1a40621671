/** Longest slug of a tier in a file name, in characters. */
const MOST_CHARACTERS = 60;

export interface NameParts {
  /** The tier that all exported conversations share, or null when they differ. */
  readonly tier: string | null;
  /** When the snapshot was taken, ISO 8601 in UTC; the name shows its day. */
  readonly takenAt: string;
  /** Conversations in the file. */
  readonly count: number;
  /** Without the dot: `jsonl`. */
  readonly extension: string;
  readonly gzip: boolean;
}

/** `training-data-{tier}-{YYYY-MM-DD}-{count}.{ext}`, such as `training-data-template-2025-10-29-42.jsonl`. */
export function fileName({ tier, takenAt, count, extension, gzip }: NameParts): string {
  const name = `training-data-${slug(tier)}-${takenAt.slice(0, 10)}-${count}.${extension}`;
  return gzip ? `${name}.gz` : name;
}

/** Tiers are data: only `[a-z0-9_-]` gets into a path. What has nothing of it is called `other`. */
function slug(tier: string | null): string {
  if (tier === null) return 'all';
  const safe = tier
    .toLowerCase()
    .replace(/[^a-z0-9_]+/g, '-')
    .slice(0, MOST_CHARACTERS)
    .replace(/^-+|-+$/g, '');
  return safe === '' ? 'other' : safe;
}
