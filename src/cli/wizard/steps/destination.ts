import { lstat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { LoraExportError } from '../../../errors.js';
import { prepareDestination } from '../../../sinks/index.js';
import type { OutputRequest } from '../../../request.js';
import { requestOf, type Step, type Wizard } from '../wizard.js';

type Answer = 'managed' | 'here' | 'path';

/** Where the file goes. */
export const destinationStep: Step = {
  title: 'Where to?',
  async run(wizard) {
    const { draft, prompts, app, settings } = wizard;
    const { cwd } = app.host;
    const { retentionHours, output } = requestOf(wizard);
    const answer = await prompts.select<Answer>(
      'Write to',
      [
        {
          value: 'managed',
          name: `The export directory, for ${retentionHours} hours`,
          description: `${settings.exportDirectory}: lora-export download fetches it, lora-export cleanup removes it afterwards.`,
        },
        {
          value: 'here',
          name: 'This directory, under a generated name',
          description: `${cwd}: nothing is replaced; the file is yours.`,
        },
        {
          value: 'path',
          name: 'Another file or directory',
          description: 'You type where. The file is yours.',
        },
      ],
      { initial: output.kind === 'managed' ? 'managed' : output.kind === 'directory' ? 'here' : 'path' },
    );
    delete draft.force;
    if (answer === 'managed') draft.output = { kind: 'managed', directory: settings.exportDirectory };
    else if (answer === 'here') draft.output = { kind: 'directory', path: cwd };
    else draft.output = await askPath(wizard);
  },
};

async function askPath(wizard: Wizard): Promise<OutputRequest> {
  const { draft, prompts, app } = wizard;
  const before = draft.output !== undefined && 'path' in draft.output ? draft.output.path : undefined;
  const path = await prompts.input('File, or directory/', {
    ...(before === undefined ? {} : { initial: before }),
    validate: async (text) =>
      text.trim() === '' ? 'A path is needed.' : whyNot(await outputAt(text, app.host.cwd)),
  });
  const output = await outputAt(path, app.host.cwd);
  if (output.kind !== 'file') return output;
  if (output.path.endsWith('.gz')) draft.gzip = true;
  const exists = await lstat(output.path).then(
    () => true,
    () => false,
  );
  if (exists) {
    draft.force = await prompts.confirm('It exists. Replace it when the new one is complete?', false);
    if (!draft.force) {
      delete draft.force;
      return askPath(wizard);
    }
  }
  return output;
}

async function outputAt(
  text: string,
  cwd: string,
): Promise<Exclude<OutputRequest, { kind: 'stream' | 'managed' }>> {
  const path = resolve(cwd, text);
  const isDirectory = await lstat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
  return { kind: text.endsWith('/') || isDirectory ? 'directory' : 'file', path };
}

/** The checks of an export, before anything is asked further; replacing is asked about next. */
async function whyNot(output: OutputRequest): Promise<true | string> {
  try {
    await prepareDestination(output, { exportId: 'unused', force: true });
    return true;
  } catch (error) {
    if (error instanceof LoraExportError) return error.message;
    throw error;
  }
}
