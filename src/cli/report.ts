import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import { prepareFile } from '../sinks/file.js';
import type { ReportLine } from '../judging/tally.js';

/** Gathered lines are written whenever so many characters are waiting. */
const FLUSH_CHARACTERS = 64 * 1024;

export interface Report {
  add(this: void, line: ReportLine): void;
  /** Makes the report visible; only a run that worked, or failed for what it lists, has one. */
  publish(): Promise<void>;
  close(): Promise<void>;
}

/**
 * `--report FILE`: one JSON object per skipped or doubtful conversation. It is written like an export, beside its name
 * first, and replaces an earlier report.
 */
export async function openReport(path: string, cwd: string): Promise<Report> {
  const destination = await prepareFile(resolve(cwd, path), { exportId: randomUUID(), force: true });
  const sink = await destination.open();
  let waiting = '';
  let written = Promise.resolve();
  const flush = (): void => {
    const bytes = Buffer.from(waiting);
    waiting = '';
    written = written.then(() => sink.write(bytes));
    // Reported by `publish`, which awaits it.
    written.catch(() => undefined);
  };
  return {
    add(line) {
      waiting += `${JSON.stringify(line)}\n`;
      if (waiting.length >= FLUSH_CHARACTERS) flush();
    },
    async publish() {
      flush();
      await written;
      await sink.seal();
      await sink.publish(path);
    },
    close: () => sink.abort(),
  };
}
