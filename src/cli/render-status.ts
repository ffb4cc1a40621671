import { hasEnded, type ExportStatus } from '../status.js';
import { visible, visibleJson } from '../visible.js';
import { progressBar, type Charset } from './progress-bar.js';
import { conversations, size } from './render.js';

/** Columns of a bar where there is room. */
const BAR = 30;
/** And where there is little. */
const SHORT_BAR = 10;
/** Columns that the spinner takes in front of a live line, and one that stays free at its end. */
const RESERVED = 3;

/** How an export stands, for programs: a contract, to which members may be added. */
export function statusJson(status: ExportStatus): string {
  return escaped(
    visibleJson({
      export_id: status.exportId,
      status: status.status,
      progress: status.progress,
      conversation_count: status.conversationCount,
      file_size: status.fileSize,
      file_url: status.fileUrl,
      error_message: status.errorMessage,
      format: status.format,
      phase: status.phase,
      matched_count: status.matched,
      read_count: status.read,
      written_count: status.written,
      skipped_count: status.skipped,
      attempt: status.attempt,
      detached: status.detached,
      worker_host: status.workerHost,
      heartbeat_at: status.heartbeatAt,
      silent_seconds: status.silentSeconds,
      is_silent: status.isSilent,
      queued_before: status.queuedBefore,
      created_at: status.createdAt,
      updated_at: status.updatedAt,
      expires_at: status.expiresAt,
      advice: adviceOn(status),
    }),
  );
}

/** Text of the database that a terminal would act on, as JSON escapes: the same to whoever parses it. */
function escaped(json: string): string {
  return json.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) =>
    character
      .split('')
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  );
}

/** The same for people, one fact per line. */
export function statusText(status: ExportStatus, charset: Charset | null): string {
  const bar = charset === null ? '' : `${progressBar(BAR, status.progress, charset)}  `;
  const facts: readonly (readonly [label: string, value: string | null])[] = [
    ['export', status.exportId],
    ['status', stateOf(status)],
    ['progress', `${bar}${status.progress} %, ${countsOf(status)}`],
    ['format', status.format],
    ['size', status.fileSize === null ? null : size(status.fileSize)],
    ['file', status.fileUrl],
    ['host', hasEnded(status) ? null : status.workerHost],
    ['started', status.createdAt],
    ['changed', status.updatedAt],
    ['expires', status.expiresAt],
    ['error', status.errorMessage],
    ['note', adviceOn(status)],
  ];
  return facts
    .flatMap(([label, value]) => (value === null ? [] : [`${label.padEnd(9)} ${visible(value)}\n`]))
    .join('');
}

/** The same on one line. */
export function statusLine(status: ExportStatus): string {
  const { progress, errorMessage } = status;
  const remark = errorMessage ?? adviceOn(status);
  const line = `${String(progress).padStart(3)} %  ${stateOf(status)}, ${countsOf(status)}`;
  return visible(remark === null ? line : `${line}: ${remark}`);
}

/** A line that replaces itself, in so many columns. */
export function liveLine(status: ExportStatus, columns: number, charset: Charset): string {
  const text = statusLine(status);
  const room = columns - RESERVED;
  const width = Math.max(SHORT_BAR, Math.min(BAR, room - text.length - 1));
  return `${progressBar(width, status.progress, charset)} ${text}`.slice(0, Math.max(0, room));
}

/** What is the matter with an export that does not move, and what repairs it. */
export function adviceOn({
  status,
  phase,
  detached,
  workerHost,
  silentSeconds,
  isSilent,
  queuedBefore,
}: ExportStatus): string | null {
  if (status !== 'queued' && status !== 'processing') return null;
  if (!isSilent) return queuedBefore === null ? null : `${jobs(queuedBefore)} before it`;
  const silence = `no sign of life for ${silentSeconds} s`;
  const host = workerHost ?? 'its machine';
  if (phase === 'publishing')
    return `${silence}; its file may be complete: \`lora-export cleanup\` on ${host} checks that and closes it`;
  if (detached === true)
    return `${silence}; \`lora-export worker\` takes it up, the next export or \`lora-export cleanup\` marks it failed`;
  return `${silence}; its process on ${host} has probably died: the next export or \`lora-export cleanup\` marks it failed`;
}

function jobs(count: number): string {
  return count === 0 ? 'no job' : `${count} ${count === 1 ? 'job' : 'jobs'}`;
}

function stateOf({ status, phase, attempt }: ExportStatus): string {
  if (status !== 'processing' || phase === null || phase === 'done') return status;
  return attempt === null || attempt === 1
    ? `${status} (${phase})`
    : `${status} (${phase}, attempt ${attempt})`;
}

function countsOf(status: ExportStatus): string {
  const { read, matched, skipped, conversationCount } = status;
  const left = skipped === null || skipped === 0 ? '' : `, ${skipped} skipped`;
  if (status.status === 'completed' || status.status === 'expired')
    return `${conversations(conversationCount)}${left}`;
  return `${read ?? 0} of ${conversations(matched ?? conversationCount)} read${left}`;
}
