import { commandLineOf, shellWords } from '../../../command-line.js';
import { LoraExportError } from '../../../errors.js';
import { exportConversations, type ExportResult } from '../../../export.js';
import { PRESET_NAME } from '../../flags.js';
import { openMetrics } from '../../metrics-log.js';
import { presetOf } from '../../presets.js';
import { conversations, size } from '../../render.js';
import { savePreset, type Saved } from '../../save-preset.js';
import { eventTeller } from '../../tell-events.js';
import { TYPED } from '../database-questions.js';
import { findingLines } from '../findings.js';
import { fit } from '../fit.js';
import { writeLastUsed } from '../last-used.js';
import { Back } from '../prompts.js';
import { contextOf, inputOf, requestOf, type Step, type Wizard } from '../wizard.js';

/** Rows that the command and the question below the result take. */
const ROWS_BELOW = 10;

/** Writes the file, tells what came out, and how to do it again. */
export const exportStep: Step = {
  title: 'Exporting',
  async run(wizard) {
    const { app, prompts, settings } = wizard;
    const result = await run(wizard);
    app.terminal.clearStatus();
    prompts.heading('Done');
    tellResult(wizard, result);
    for (const { message, fix } of result.brokenLimits) {
      const warning = `The file is complete, but not what ${result.target} takes: ${message}. ${fix}`;
      prompts.say(warning, prompts.style.bad);
    }
    tellCommand(wizard, result);
    await writeLastUsed(inputOf(wizard), {
      stateDirectory: settings.stateDirectory,
      uid: app.host.uid,
      note: (text) => prompts.say(`note: ${text}`),
    });
    await offerPreset(wizard);
  },
};

async function run(wizard: Wizard): Promise<ExportResult> {
  const { app, settings } = wizard;
  const request = requestOf(wizard);
  const { format, target = null } = request;
  const metrics = openMetrics(settings, app.terminal).begin({
    exportId: null,
    userId: settings.userId?.value ?? null,
    format,
    target,
  });
  try {
    const result = await exportConversations(request, { ...contextOf(wizard), onEvent: eventTeller(app) });
    metrics.completed(result);
    return result;
  } catch (error) {
    metrics.failed(error);
    throw error;
  }
}

/** What was left out and why comes last, as far as there is room: the history keeps all of it. */
function tellResult({ prompts }: Wizard, result: ExportResult): void {
  const { counts, notes, expiresAt, exportId } = result;
  const left = counts.skipped === 0 ? 'none was left out' : `${counts.skipped} of ${counts.matched} left out`;
  prompts.say(`Exported ${conversations(counts.written)} (${counts.turns} turns); ${left}.`);
  prompts.sayWhole(`  to       ${result.location}`);
  prompts.say(`  size     ${size(result.size)}`);
  prompts.say(`  sha256   ${result.sha256}`);
  prompts.say(`  export   ${exportId}`);
  prompts.say(`  expires  ${expiresAt ?? 'never'}`);
  if (result.advice !== null) prompts.say(`  ${result.advice}`);
  const found = [
    ...findingLines(counts),
    ...Object.entries(notes).map(([note, count]) => `  ${count} times: ${note}`),
  ];
  const room = Math.max(0, prompts.rowsLeft - ROWS_BELOW);
  const shown = found.length <= room ? found : found.slice(0, Math.max(0, room - 1));
  for (const line of shown) prompts.say(fit(line, prompts.columns - 1, prompts.style));
  if (shown.length < found.length) {
    prompts.sayWhole(`  ... and ${found.length - shown.length} more: lora-export history ${exportId}`);
  }
}

/** In one line, so that it can be copied. */
function tellCommand({ prompts, settings, ...wizard }: Wizard, { exportId }: ExportResult): void {
  const words = commandLineOf(inputOf({ ...wizard, settings }));
  const command = words === null ? null : shellWords(words);
  prompts.say();
  prompts.say('The same again, as a command:');
  // Flags cannot say everything, and not every terminal can show what they say.
  const isTrue = command !== null && prompts.style.show(command) === command;
  prompts.sayWhole(isTrue ? `  ${command}` : `  lora-export export --like ${exportId}`);
  if (settings.databaseUrl?.origin === TYPED) {
    prompts.say('It needs the address that you typed in the variable DATABASE_URL.');
  }
}

/** The file is written: leaving here is no cancelling. */
async function offerPreset(wizard: Wizard): Promise<void> {
  const { prompts, settings } = wizard;
  prompts.say();
  prompts.say('A preset keeps these answers under a name, for the wizard and the command line.');
  try {
    const name = await prompts.input('Name of the preset (nothing: none)', {
      escape: 'no preset',
      validate: (text) =>
        text === '' || PRESET_NAME.test(text) || 'Letters, digits, dot, dash and underscore, at most 64.',
    });
    if (name === '') return;
    const path = settings.presetFile();
    const saved = await save(wizard, name, path);
    if (saved === null) return;
    prompts.say(`Preset ${name} is in ${path}. To use it:`);
    prompts.say(`  lora-export export --preset ${name}`);
  } catch (error) {
    const isLeft = error instanceof Back || (error instanceof LoraExportError && error.code === 'E_SIGINT');
    if (!isLeft) throw error;
  }
}

async function save(wizard: Wizard, name: string, path: string): Promise<Saved | null> {
  const { prompts } = wizard;
  const preset = presetOf(inputOf(wizard));
  try {
    return await savePreset(name, preset, { path, force: false });
  } catch (error) {
    if (!(error instanceof LoraExportError) || error.code !== 'E_USAGE') throw error;
    prompts.say(error.message);
    const replaces = await prompts.confirm('Replace it?', false);
    return replaces ? savePreset(name, preset, { path, force: true }) : null;
  }
}
