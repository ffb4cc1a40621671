import { Chalk } from 'chalk';
import { previewExport } from '../../../preview.js';
import type { App } from '../../app.js';
import { conversations } from '../../render.js';
import { copyToClipboard } from '../clipboard.js';
import { previewLines } from '../preview-lines.js';
import { busy, contextOf, requestOf, type Step } from '../wizard.js';

/** Conversations shown. */
const SHOWN = 3;

/** The first conversations in the bytes of the export. */
export const previewStep: Step = {
  title: 'Preview',
  async run(wizard) {
    const { prompts, app } = wizard;
    const request = requestOf(wizard);
    const { bytes, conversations: shown } = await busy(wizard, 'Reading', () =>
      previewExport(request, contextOf(wizard), SHOWN),
    );
    if (shown === 0) {
      prompts.say('Nothing to show: none of the conversations would be written. The checks say why.');
      await prompts.select('Next', [{ value: 'go on', name: 'Go on to the checks' }]);
      return;
    }
    const text = bytes.toString('utf8');
    const { style } = prompts;
    const chalk = new Chalk({ level: style.hasColour ? 1 : 0 });
    await prompts.page(
      shown === 1 ? 'The first conversation' : `The first ${conversations(shown)}`,
      (columns) => previewLines(text, request.format, { columns, chalk, show: style.show }),
      () => copy(text, app),
    );
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
