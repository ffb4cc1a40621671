import type { ExportEvent } from '../export.js';
import type { Recovery } from '../recovery.js';
import type { App } from './app.js';
import { conversations } from './render.js';

/** A status line is worth redrawing this often, in milliseconds. */
const REDRAW_MS = 100;

/** Turns events into lines and, on a terminal, into a status line with rate and remaining time. */
export function eventTeller({ host, terminal }: App): (event: ExportEvent) => void {
  const showPhases = host.env['LORA_EXPORT_TEST_PHASES'] === '1';
  let started = performance.now();
  let drawn = 0;
  return (event) => {
    switch (event.kind) {
      case 'phase':
        // For tests that stop a run at a certain point.
        if (showPhases) terminal.line(`phase=${event.phase}`);
        return;
      case 'started':
        started = performance.now();
        if (event.rowSecurity) {
          terminal.line(
            'note: row level security applies to this role; conversations that it hides are not exported.',
          );
        }
        return;
      case 'progress': {
        const now = performance.now();
        if (now - drawn < REDRAW_MS) return;
        drawn = now;
        void terminal.status(progressText(event, (now - started) / 1000));
        return;
      }
      case 'retry':
        terminal.line(
          `${event.reason} Trying again in ${(event.pauseMs / 1000).toFixed(1)} s (attempt ${event.attempt}).`,
        );
        return;
      case 'recovered':
        for (const text of recoveryLines(event.recovery)) terminal.line(text);
        return;
      case 'notice':
        terminal.line(`note: ${event.text}`);
    }
  };
}

function progressText({ read, total, bytes }: ExportEvent & { kind: 'progress' }, seconds: number): string {
  const rate = read / Math.max(seconds, 0.001);
  const left = Math.ceil((total - read) / Math.max(rate, 0.001));
  return `${read} of ${conversations(total)} · ${Math.round(rate)}/s · ${(bytes / 1_048_576).toFixed(1)} MiB · ${left} s left`;
}

/** What recovery did, a line each; none when there was nothing to do. */
export function* recoveryLines({ completed, failed, left }: Recovery): Generator<string> {
  if (completed.length > 0)
    yield `note: completed the log of interrupted exports whose files were whole: ${completed.join(', ')}`;
  if (failed.length > 0) yield `note: marked exports as failed whose process had died: ${failed.join(', ')}`;
  if (left.length > 0)
    yield `note: exports of another host may have died while publishing; run a command there: ${left.join(', ')}`;
}
