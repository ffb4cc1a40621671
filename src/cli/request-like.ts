import { openAccess } from '../db/access.js';
import { readRun } from '../db/recorded-runs.js';
import { ExportNotFoundError } from '../errors.js';
import { parseRequest, type ExportRequest } from '../request.js';
import { requestOfConfig } from '../run-config.js';
import type { App, AppSettings, OpenDatabase } from './app.js';

/**
 * `--like`: what an earlier export asked for, on today's data. Where it goes and for whom is this command's to say.
 * @throws ExportNotFoundError, or LoraExportError `E_DATA` when its row does not hold all that it takes
 */
export async function requestLike(
  app: App,
  { auditSchema, userId, allUsers }: AppSettings,
  { target }: OpenDatabase,
  exportId: string,
  typed: ExportRequest,
): Promise<ExportRequest> {
  const access = await openAccess(target, {
    purpose: 'repeat',
    auditSchema,
    userId: userId?.value,
    allUsers,
    signal: app.host.signal,
  });
  try {
    const run = await readRun(access, exportId);
    if (run === null) throw new ExportNotFoundError(exportId);
    const { output, force, gzip, batchSize, jobs, retentionHours, schema, allowEmpty, strict, requireAll } =
      typed;
    const earlier = requestOfConfig(run.config, `Export ${exportId}`);
    return parseRequest({
      ...earlier,
      output,
      force,
      batchSize,
      jobs,
      retentionHours,
      auditSchema,
      allUsers,
      userId: typed.userId,
      gzip: gzip || earlier.gzip,
      strict: strict || earlier.strict,
      allowEmpty: allowEmpty || earlier.allowEmpty,
      requireAll: requireAll || earlier.requireAll,
      schema: earlier.schema ?? schema,
    });
  } finally {
    await access.login.close();
  }
}
