import type { ContentOptions, EncodeOptions } from '../../src/formats/format.js';

/** What a request shows unless it says otherwise. */
export const DEFAULT_CONTENT: ContentOptions = {
  includeMetadata: true,
  includeQualityScores: true,
  includeTimestamps: true,
  includeApprovalHistory: false,
  includeParentReferences: false,
  includeFullContent: true,
};

/** What an encoder is given for a request that says nothing, at a fixed time. */
export const DEFAULT_ENCODING: EncodeOptions = {
  ...DEFAULT_CONTENT,
  compact: false,
  bom: true,
  rawCells: false,
  exportedAt: '2025-10-29T10:00:00.000Z',
};

/** All 64 combinations of the six flags. */
export function* contentOptions(): Generator<ContentOptions> {
  const flags = Object.keys(DEFAULT_CONTENT);
  for (let bits = 0; bits < 2 ** flags.length; bits++) {
    const pairs = flags.map((flag, index): [string, boolean] => [flag, (bits & (1 << index)) !== 0]);
    yield Object.fromEntries(pairs) as unknown as ContentOptions;
  }
}
