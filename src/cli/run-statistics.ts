import { checkThresholds, type CheckReport } from '../statistics/alerts.js';
import { LoraExportError } from '../errors.js';
import { prometheusText } from '../statistics/prometheus.js';
import { readSince } from '../statistics/since.js';
import type { Access } from '../db/access.js';
import { collectStatistics, type BucketSize } from '../statistics.js';
import { withAccess, type App } from './app.js';
import { isUtf8 } from './locale.js';
import { checkJson, checkText, crossedText, statisticsJson, statisticsText } from './render-statistics.js';
import type { ConnectionFlags } from './settings.js';

/** The flags of `history` that are about numbers. */
export interface StatisticsFlags extends ConnectionFlags {
  readonly stats?: boolean;
  /** As the flag parser `since` lets it through. */
  readonly since?: string;
  readonly by?: BucketSize;
  readonly prometheus?: boolean;
  readonly check?: boolean;
  readonly json?: boolean;
}

/** `history --stats`, `--prometheus` and `--check`: the history in numbers, and whether they are fine. */
export async function runStatistics(app: App, flags: StatisticsFlags): Promise<void> {
  refuseMixtures(flags);
  const { host, terminal } = app;
  const settings = await app.readSettings(flags);
  const since = flags.since === undefined ? undefined : readSince(flags.since);
  await withAccess(app, settings, 'statistics', async (everything) => {
    const access = flags.allUsers === true ? only(everything, flags.user) : everything;
    if (flags.check === true) {
      const report = await checkThresholds(access, settings.alerts, since);
      terminal.data(flags.json === true ? `${checkJson(report)}\n` : checkText(report));
      refuseCrossed(report);
    } else if (flags.prometheus === true) {
      terminal.data(await prometheusText(access, since));
    } else {
      const statistics = await collectStatistics(access, { since, by: flags.by });
      terminal.data(
        flags.json === true
          ? `${statisticsJson(statistics)}\n`
          : statisticsText(statistics, { utf8: isUtf8(host) }),
      );
    }
  });
}

/** As in the list: of all the exports that may be seen, those of the user who was typed. */
function only(access: Access, user: string | undefined): Access {
  return user === undefined ? access : { ...access, identity: { ...access.identity, owner: user } };
}

/** Of two flags that ask for different answers, neither would be ignored without a word. */
function refuseMixtures({ check, prometheus, stats, json, by }: StatisticsFlags): void {
  const mixed: readonly (readonly [boolean, string])[] = [
    [check === true && prometheus === true, '--check and --prometheus'],
    [check === true && stats === true, '--check and --stats'],
    [prometheus === true && json === true, '--prometheus and --json'],
    [check === true && by !== undefined, '--check and --by'],
    [prometheus === true && by !== undefined, '--prometheus and --by'],
  ];
  const found = mixed.find(([isMixed]) => isMixed);
  if (found === undefined) return;
  throw new LoraExportError('E_USAGE', `${found[1]} cannot be used together.`);
}

/** What was found is on standard output; the status tells cron. */
function refuseCrossed(report: CheckReport): void {
  if (report.ok) return;
  throw new LoraExportError('E_ALERT', `Not as it should be: ${crossedText(report)}.`, {
    hint: '`lora-export history --stats` shows more; limits are set in the configuration file ("alerts").',
  });
}
