import { Chalk } from 'chalk';
import { wrapAnsi } from 'fast-wrap-ansi';
import { formats } from '../../../formats/index.js';
import { previewExport } from '../../../preview.js';
import type { App } from '../../app.js';
import { colourPreview } from '../../colour-preview.js';
import { conversations } from '../../render.js';
import { copyToClipboard } from '../clipboard.js';
import { busy, contextOf, requestOf, type Step } from '../wizard.js';

/** Conversations shown. */
const SHOWN = 3;

/** The first conversations in the bytes of the export. */
export const previewStep: Step = {
  title: 'Preview',
  async run(wizard) {
    const { prompts, app } = wizard;
    const request = requestOf(wizard);
    const {
      bytes,
      conversations: shown,
      skipped,
    } = await busy(wizard, 'Reading', () => previewExport(request, contextOf(wizard), SHOWN));
    if (shown === 0) {
      prompts.say(`None of the ${skipped} conversations read so far would be written; the checks say why.`);
      return;
    }
    const hasColour = prompts.style.bold('x') !== 'x';
    const text = bytes.toString('utf8').trimEnd();
    const coloured = colourPreview(
      text,
      formats[request.format].extension,
      new Chalk({ level: hasColour ? 1 : 0 }),
    );
    const lines = wrapAnsi(coloured, prompts.columns - 1, { hard: true, trim: false }).split('\n');
    await prompts.page({ message: `The first ${conversations(shown)}`, lines }, () => copy(text, app));
  },
};

async function copy(text: string, { host }: App): Promise<string> {
  const { env, platform, stderr } = host;
  const copied = await copyToClipboard(text, {
    env,
    platform,
    isTerminal: stderr.isTTY === true,
    writeTerminal: (sequence) => void stderr.write(sequence),
  });
  return copied.way === null ? `Not copied: ${copied.problem}` : `Copied (${copied.way}).`;
}
