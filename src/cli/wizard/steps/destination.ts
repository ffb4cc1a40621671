import { lstat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { LoraExportError } from '../../../errors.js';
import { prepareDestination } from '../../../sinks/index.js';
import type { OutputRequest } from '../../../request.js';
import { Back } from '../prompts.js';
import { impliesGzip, requestOf, type Step, type Wizard } from '../wizard.js';

type Answer = 'managed' | 'here' | 'path';
type PathOutput = Extract<OutputRequest, { readonly path: string }>;

/** Where the file goes. */
export const destinationStep: Step = {
  title: 'Where should the file go?',
  async run(wizard) {
    const { draft, prompts, app, settings } = wizard;
    const { cwd } = app.host;
    const { retentionHours, output } = requestOf(wizard);
    const choices = [
      {
        value: 'managed' as const,
        name: `The export directory, for ${retentionHours} hours`,
        description: `${settings.exportDirectory}: after that time it is cleaned up.`,
      },
      {
        value: 'here' as const,
        name: 'This directory, under a new name',
        description: `${cwd}: nothing is replaced, and the file stays.`,
      },
      {
        value: 'path' as const,
        name: 'Another file or directory',
        description: 'You type where; the file stays.',
      },
    ];
    let initial: Answer = whereTo(output, cwd);
    for (;;) {
      initial = await prompts.select<Answer>('Write to', choices, { initial });
      if (initial === 'path') {
        try {
          await askPath(wizard);
          return;
        } catch (error) {
          if (!(error instanceof Back)) throw error;
          prompts.heading(destinationStep.title);
          continue;
        }
      }
      delete draft.force;
      draft.output =
        initial === 'managed'
          ? { kind: 'managed', directory: settings.exportDirectory }
          : { kind: 'directory', path: cwd };
      return;
    }
  },
};

function whereTo(output: OutputRequest, cwd: string): Answer {
  if (output.kind === 'directory') return output.path === cwd ? 'here' : 'path';
  return output.kind === 'file' ? 'path' : 'managed';
}

async function askPath(wizard: Wizard): Promise<void> {
  const { draft, prompts, app } = wizard;
  const { cwd } = app.host;
  prompts.say('A file, or a directory with / at the end. Relative paths begin in this directory.');
  let initial = draft.output !== undefined && 'path' in draft.output ? draft.output.path : '';
  for (;;) {
    initial = await prompts.input('Path', {
      initial,
      validate: async (text) =>
        text.trim() === '' ? 'A path is needed.' : whyNot(await outputAt(text, cwd)),
    });
    const output = await withSuffix(wizard, await outputAt(initial, cwd));
    const replaces = output.kind === 'file' && (await exists(output.path));
    if (replaces && !(await prompts.confirm('There is such a file. Replace it with the new one?', false)))
      continue;
    delete draft.force;
    if (replaces) draft.force = true;
    draft.output = output;
    return;
  }
}

/** Programs know compressed files by their names. */
async function withSuffix({ draft, prompts }: Wizard, output: PathOutput): Promise<PathOutput> {
  if (output.kind !== 'file' || draft.gzip !== true || impliesGzip({ output })) return output;
  const named: PathOutput = { kind: 'file', path: `${output.path}.gz` };
  if ((await whyNot(named)) !== true) return output;
  const adds = await prompts.confirm(`It will be compressed. Name it ${basename(named.path)}?`, true);
  return adds ? named : output;
}

async function outputAt(text: string, cwd: string): Promise<PathOutput> {
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

function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
