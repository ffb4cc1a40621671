import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeSandbox, type Sandbox } from '../support/cli.js';
import { startWizard, type WizardRun } from '../support/wizard.js';

const INTRODUCTION = `# The wizard, step by step

\`lora-export\` without anything behind it asks what is needed and writes the file. These are its screens on the demo
database, in a terminal of 80 columns and 24 rows, as they are (\`npm run docs\` takes them again, and a test compares
them). Arrows move, Enter chooses, Esc goes one question back and keeps the answers, Ctrl-C leaves without a trace.`;

let box: Sandbox;
let wizard: WizardRun;
const parts: string[] = [INTRODUCTION];

beforeAll(async () => {
  box = await makeSandbox();
  wizard = startWizard(box, { env: { NO_COLOR: '1' } });
});

afterAll(async () => {
  await wizard.kill();
  await box.remove();
});

describe('docs/wizard.md', () => {
  test.runIf(process.platform === 'linux')('shows every screen as it is', async () => {
    await step(
      '1. The database',
      'Go on with',
      'Without an address, a small database of its own is used. An empty one can be filled with the demo.',
    );
    await wizard.choose('Go on with', 'Load the demo');
    await wizard.asks('Go on with', 'Export from this one');
    await step('2. Again, with conversations', 'Go on with');
    await wizard.choose('Go on with', 'Export from this one');
    await step(
      '3. Which conversations',
      'Export',
      'The numbers are those of this moment. What would be empty cannot be chosen, and says why.',
    );
    await wizard.choose('Export', 'Set filters');
    await step('4. Filters', 'match', 'After each change the number that match is counted again.');
    await wizard.choose('match', 'Persona');
    await step('5. One filter', 'Persona', 'Space ticks; the numbers count what the other filters leave.');
    wizard.press('esc');
    await wizard.asks('match');
    wizard.press('esc');
    await wizard.choose('Export', 'Pick conversations');
    await wizard.asks('Search', 'There are more');
    wizard.type('envelope');
    await wizard.asks('envelope', 'The envelope');
    wizard.press('tab');
    await step('6. Picking conversations', '(1 chosen)', 'Or by hand, however many there are.');
    wizard.press('esc');
    await wizard.choose('Export', 'All approved');
    await step('7. What the file is for', 'It is for');
    await wizard.choose('It is for', 'Training with a certain');
    await step('8. A service or tool', 'JSONL for');
    wizard.press('esc');
    await wizard.choose('It is for', 'Training with LoRA');
    await step('9. Options', 'Options', 'All have a usual answer.');
    await wizard.choose('Options', 'Go on');
    await step('10. Where to', 'Write to');
    await wizard.choose('Write to', 'This directory');
    await step(
      '11. Preview',
      'The first 3',
      'The bytes that the export will write, page by page; `c` copies them.',
    );
    wizard.press('enter');
    await step(
      '12. Checks',
      'would be written',
      'Every conversation is read and checked, and nothing is written.',
    );
    await wizard.choose('would be written', 'Go on');
    await step('13. The last question', 'Write the file?');
    await wizard.choose('Write the file?', 'Export');
    await step(
      '14. Done',
      'Name of the preset',
      'Where the file is, what is in it, and the command that does the same.',
    );
    wizard.press('enter');
    expect(await wizard.exited).toBe(0);
    await expect(`${parts.join('\n\n')}\n`).toMatchFileSnapshot('../../docs/wizard.md');
  });
});

async function step(title: string, wanted: string, text?: string): Promise<void> {
  await wizard.asks(wanted);
  parts.push(
    `## ${title}`,
    ...(text === undefined ? [] : [text]),
    `\`\`\`text\n${normal(wizard.screen())}\n\`\`\``,
  );
}

/** What differs from run to run, in text of the same length. */
function normal(screen: string): string {
  const placed = replaceWrapped(
    replaceWrapped(screen, box.state, '/home/you/.local/lora-data'),
    box.directory,
    '/home/you/training/corpus',
  );
  return placed
    .replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '3f0c7e52-9b1d-4a68-8f27-c5d1e0a94b36')
    .replaceAll(/\b[0-9a-f]{64}\b/g, '0123456789abcdef'.repeat(4))
    .replaceAll(/(training-data-\w+-)\d{4}-\d\d-\d\d/g, '$12025-10-29')
    .replaceAll(/PostgreSQL \d+\.\d+/g, 'PostgreSQL 18.4');
}

/** Replaces a text, wherever the terminal has broken it, by one of the same length, broken there too. */
function replaceWrapped(screen: string, text: string, other: string): string {
  expect(other).toHaveLength(text.length);
  const pattern = text
    .split('')
    .map((character) => character.replace('.', '[.]'))
    .join('\n?');
  return screen.replaceAll(new RegExp(pattern, 'g'), (found) => {
    let index = 0;
    return found.replaceAll(/[^\n]/g, () => other[index++] ?? '');
  });
}
