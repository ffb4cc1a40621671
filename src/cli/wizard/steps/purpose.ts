import type { FormatName } from '../../../formats/index.js';
import { targets, type TargetName } from '../../../targets/index.js';
import type { Choice } from '../prompts.js';
import type { Step } from '../wizard.js';

type Purpose = { readonly format: FormatName } | { readonly target: TargetName };

const FORMATS: readonly { format: FormatName; name: string; description: string }[] = [
  {
    format: 'jsonl',
    name: 'JSONL (Recommended)',
    description: 'LoRA training: one conversation a line, with messages and metadata.',
  },
  { format: 'json', name: 'JSON', description: 'Programs and analysis: one document with a summary.' },
  {
    format: 'csv',
    name: 'CSV',
    description: 'Spreadsheets: one row per turn, safe to open in Excel and Google Sheets.',
  },
  { format: 'markdown', name: 'Markdown', description: 'People who review: headings and quotations.' },
];

/** What the file is for: a format, or a service or trainer with its rules. */
export const purposeStep: Step = {
  title: 'What is it for?',
  async run({ draft, prompts }) {
    const choices: Choice<Purpose>[] = [
      ...FORMATS.map(({ format, name, description }) => ({ value: { format }, name, description })),
      ...Object.entries(targets).map(([name, { summary }]) => ({
        value: { target: name as TargetName },
        name: `JSONL for ${name}`,
        description: summary,
      })),
    ];
    const before = choices.find(({ value }) =>
      'target' in value
        ? value.target === draft.target
        : value.format === draft.format && draft.target === undefined,
    );
    const chosen = await prompts.select('The file is for', choices, {
      ...(before === undefined ? {} : { initial: before.value }),
    });
    if ('format' in chosen) {
      draft.format = chosen.format;
      delete draft.target;
      delete draft.shape;
      // These belong to rows for training.
      if (chosen.format !== 'jsonl') delete draft.expand;
      return;
    }
    if (draft.target !== chosen.target) delete draft.shape;
    draft.target = chosen.target;
    delete draft.format;
    const { shapes, preferences = {} } = targets[chosen.target];
    const names = [...Object.keys(shapes), ...Object.keys(preferences)];
    if (names.length === 1) return;
    const listed = names.map((name, index) => ({
      value: name,
      name: index === 0 ? `${name} (usual)` : name,
    }));
    draft.shape = await prompts.select('Rows of the shape', listed, {
      initial: draft.shape ?? listed[0]?.value ?? '',
    });
  },
};
