import type { ExportResult } from '../export.js';
import type { ExportPlan } from '../plan.js';
import type { RuleCounts } from '../judging/tally.js';
import type { TokenSpread, TokenStatistics } from '../judging/tokens.js';
import { visible, visibleJson } from '../visible.js';

export { failureJson, failureText } from './failure.js';

/** How many ids a summary names per rule. */
const NAMED = 3;

/** What an export did, for people. */
export function exportSummary(result: ExportResult): string {
  const { counts } = result;
  const lines = [
    `Exported ${conversations(counts.written)} (${counts.turns} turns) in ${(result.durationMs / 1000).toFixed(1)} s; ` +
      (counts.skipped === 0
        ? 'none skipped.'
        : `${counts.skipped} of ${counts.matched} matched were skipped.`),
    ...ruleLines('skipped', counts.skips),
    ...ruleLines('repaired', counts.repairs),
    ...ruleLines('written, but', counts.warnings),
    ...Object.entries(result.notes).map(([note, count]) => `  ${note}: ${count}`),
    ...tokenLines(result.tokens),
    ...(result.advice === null ? [] : [`  ${result.advice}`]),
    `  to       ${result.location}`,
    `  size     ${size(result.size)}`,
    `  sha256   ${result.sha256}`,
    `  export   ${result.exportId}`,
  ];
  if (result.expiresAt !== null) lines.push(`  expires  ${result.expiresAt}`);
  return lines.join('\n');
}

/** The same for programs: a contract, to which members may be added. */
export function exportJson(result: ExportResult): string {
  const { counts } = result;
  return visibleJson({
    export_id: result.exportId,
    status: 'completed',
    format: result.format,
    target: result.target,
    scope: result.scope,
    matched_count: counts.matched,
    conversation_count: counts.written,
    skipped_count: counts.skipped,
    turn_count: counts.turns,
    row_count: counts.rows,
    skips: counts.skips,
    repairs: counts.repairs,
    warnings: counts.warnings,
    notes: result.notes,
    broken_limits: result.brokenLimits,
    tokens: result.tokens,
    file: result.url === null ? null : result.location,
    file_url: result.url,
    file_size: result.size,
    sha256: result.sha256,
    expires_at: result.expiresAt,
    duration_ms: result.durationMs,
    snapshot_at: result.takenAt,
    user_id: result.userId,
  });
}

function* ruleLines(label: string, counts: RuleCounts): Generator<string> {
  for (const [rule, { count, ids }] of Object.entries(counts)) {
    const named = ids.slice(0, NAMED).join(', ');
    yield `  ${label} ${rule}: ${count} (${named}${count > NAMED ? ', …' : ''})`;
  }
}

/** Token counts, a line each; none when they were not asked for. */
export function* tokenLines(tokens: TokenStatistics | null): Generator<string> {
  if (tokens === null) return;
  const line = (name: string, { total, median, p95, max }: TokenSpread): string =>
    `  tokens   ${name}: ${total} in all, median ${median}, p95 ${p95}, max ${max}`;
  yield line(`per conversation (${tokens.encoding})`, tokens.conversation);
  for (const [role, spread] of Object.entries(tokens.byRole)) yield line(role, spread);
  const { overLimit } = tokens;
  if (overLimit !== null) yield `  tokens   over the limit of ${overLimit.limit}: ${overLimit.count}`;
}

/** `1 conversation`, `2 conversations`. */
export function conversations(count: number): string {
  return `${count} ${count === 1 ? 'conversation' : 'conversations'}`;
}

/** Bytes for people, in powers of 1024. */
export function size(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const units = ['KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = -1;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value.toFixed(1)} ${units[unit]}`;
}

/** What `--dry-run` found, for people. */
export function planText(plan: ExportPlan): string {
  return [
    `Would export up to ${conversations(plan.matched)} (${plan.scope}) as ${plan.format}.`,
    `  to    ${plan.location}`,
    `  from  ${plan.database}`,
    '',
    plan.statement.replace(/\n\s*/g, '\n  ').trim(),
  ].join('\n');
}

export function planJson(plan: ExportPlan): string {
  const { matched, ...rest } = plan;
  return visibleJson({ matched_count: matched, ...rest });
}

/** Columns of text, aligned; control characters of cells made visible. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [head, ...rows].map((row) => row.map(visible));
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  return cells
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('');
}
