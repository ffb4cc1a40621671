import type { FormatName } from '../../../formats/index.js';
import { targets } from '../../../targets/all.js';
import { targetNames, type TargetName } from '../../../targets/index.js';
import { limitsInWords } from '../in-words.js';
import { pad } from '../fit.js';
import { Back, type Choice } from '../prompts.js';
import type { Draft, Step, Wizard } from '../wizard.js';

type Answer = FormatName | 'target';

const CHOICES: readonly Choice<Answer>[] = [
  {
    value: 'jsonl',
    name: 'Training with LoRA: JSONL (Recommended)',
    description: 'One conversation a line, with its messages and what is known about it.',
  },
  {
    value: 'target',
    name: 'Training with a certain service or tool: OpenAI, Mistral, TRL ...',
    description: `Exactly the lines that it reads, checked against its rules: ${targetNames.join(', ')}.`,
  },
  {
    value: 'json',
    name: 'Programs and analysis: JSON',
    description: 'One structured document, with a summary in front.',
  },
  {
    value: 'csv',
    name: 'Spreadsheets and reports: CSV',
    description: 'One row per turn, safe to open in Excel and Google Sheets.',
  },
  {
    value: 'markdown',
    name: 'People who review: Markdown',
    description: 'A document to read, with headings and quotations.',
  },
];

/** What the file is for: a format, or a service or trainer with its rules. */
export const purposeStep: Step = {
  title: 'What is the file for?',
  async run(wizard) {
    const { draft, prompts } = wizard;
    for (;;) {
      const initial: Answer | undefined = draft.target === undefined ? draft.format : 'target';
      const answer = await prompts.select<Answer>('It is for', CHOICES, { initial });
      if (answer !== 'target') {
        draft.format = answer;
        delete draft.target;
        delete draft.shape;
        return;
      }
      try {
        await chooseTarget(wizard);
        return;
      } catch (error) {
        if (!(error instanceof Back)) throw error;
        prompts.heading(purposeStep.title);
      }
    }
  },
};

async function chooseTarget({ draft, prompts }: Wizard): Promise<void> {
  let target = draft.target;
  const width = Math.max(...targetNames.map((name) => name.length)) + 2;
  for (;;) {
    prompts.heading('Which service or tool?');
    const choices = targetNames.map((name) => ({
      value: name,
      name: `${pad(name, width)}${targets[name].summary}`,
      description: limitsInWords(name),
    }));
    target = await prompts.select('JSONL for', choices, { initial: target });
    try {
      const shape = await chooseShape(prompts, target, draft);
      draft.target = target;
      delete draft.format;
      delete draft.shape;
      if (shape !== undefined) draft.shape = shape;
      return;
    } catch (error) {
      if (!(error instanceof Back)) throw error;
    }
  }
}

/** Undefined where there is only one. */
async function chooseShape(
  prompts: Wizard['prompts'],
  name: TargetName,
  draft: Draft,
): Promise<string | undefined> {
  const { shapes, preferences = {} } = targets[name] as {
    readonly shapes: object;
    readonly preferences?: object;
  };
  const names = [...Object.keys(shapes), ...Object.keys(preferences)];
  if (names.length === 1) return undefined;
  prompts.heading(`How should ${name} get its rows?`);
  const choices = names.map((shape, index) => ({
    value: shape,
    name: index === 0 ? `${shape} (usual)` : shape,
    description:
      shape in preferences
        ? 'Pairs of an approved and a rejected answer to the same question.'
        : 'Complete conversations.',
  }));
  const initial = draft.target === name ? draft.shape : undefined;
  return prompts.select('Rows', choices, { initial });
}
