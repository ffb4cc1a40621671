import { cancelExport } from '../jobs/queue.js';
import { withAccess, type App, type AppSettings } from './app.js';
import { visibleJson } from '../visible.js';

/** `export --cancel ID`. */
export async function runCancel(
  app: App,
  settings: AppSettings,
  exportId: string,
  json: boolean,
): Promise<void> {
  await withAccess(app, settings, 'cancel', (access) => cancelExport(access, exportId));
  if (json) app.terminal.data(`${visibleJson({ export_id: exportId, status: 'failed' })}\n`);
  else app.terminal.line(`Cancelled ${exportId}. Nothing of it will be published.`);
}
