/**
 * The library under the command line: export conversations from your own program, for instance to stream a training
 * file from a web route. What is not exported here may change at any time.
 *
 * @packageDocumentation
 */
export { exportConversations } from './export.js';
export type { ExportContext, ExportEvent, ExportResult } from './export.js';
export { previewExport } from './preview.js';
export type { Preview } from './preview.js';
export { planExport } from './plan.js';
export type { ExportPlan } from './plan.js';
export type { ExportRequest, ExportRequestInput, Filters, OutputRequest, Scope, SortKey } from './request.js';
export { parseFilters } from './request.js';
export { importConversations } from './import.js';
export type { ImportInput, ImportOptions, ImportRequest, ImportResult } from './import.js';
export { readStatus, watchStatus } from './status.js';
export type { ExportStatus, WatchOptions } from './status.js';
export { openDownload } from './download.js';
export type { Download, DownloadOptions } from './download.js';
export { openAccess } from './db/access.js';
export type { Access, AccessOptions } from './db/access.js';
export { listExports } from './history.js';
export type { HistoryPage, HistoryQueryInput } from './history.js';
export { writeHistoryCsv } from './history/history-csv.js';
export { readRun } from './db/recorded-runs.js';
export type { RecordedRun, RunDetails, Status } from './db/recorded-runs.js';
export { availabilityOf } from './history/availability.js';
export type { Availability } from './history/availability.js';
export { commandLineOf, shellWords } from './command-line.js';
export { parseDatabaseUrl } from './db/target.js';
export type { DatabaseTarget, TlsMode } from './db/target.js';
export { createExportService } from './service.js';
export type { ExportLogPage, ExportService, ExportServiceOptions } from './service.js';
export type {
  CreateExportLogInput,
  ExportLog,
  ExportLogFilters,
  Pagination,
  UpdateExportLogInput,
} from './service/export-log.js';
export { requestOfConfig } from './run-config.js';
export { ExportNotFoundError, ExportPermissionError, LoraExportError, exitStatusOf } from './errors.js';
export type { ErrorCode } from './errors.js';
export { RULES } from './judging/rules.js';
export type { Finding } from './judging/checks.js';
export type { Action, Policy, Rule } from './judging/rules.js';
export { loadTarget, targetNames } from './targets/index.js';
export type { TargetName } from './targets/index.js';
export type { Counts, ReportLine, RuleCount } from './judging/tally.js';
export type { Recovery } from './recovery.js';
export type { Conversation, ConversationField, Role, Turn } from './conversation.js';
export { Text } from './bytes/text.js';
export { ByteWriter } from './bytes/byte-writer.js';
export { getTransformer } from './transformers.js';
export type {
  ConversationInput,
  ExportConfig,
  IExportTransformer,
  TransformerOptions,
  TurnInput,
} from './transformers.js';
export { formats, formatNames } from './formats/index.js';
export type { FormatName } from './formats/index.js';
export type { ContentOptions, Encoder, Format } from './formats/format.js';
