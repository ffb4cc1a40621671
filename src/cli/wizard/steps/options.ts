import type { ExportRequest } from '../../../request.js';
import { fileInWords } from '../in-words.js';
import { Back, type Choice } from '../prompts.js';
import { impliesGzip, inputOf, requestOf, type Draft, type Step, type Wizard } from '../wizard.js';

type Include = keyof ExportRequest['content'];

const INCLUDES: readonly { key: Include; name: string; description: string }[] = [
  { key: 'includeMetadata', name: 'Metadata', description: 'Id, title, tier, persona, emotion, topic.' },
  {
    key: 'includeQualityScores',
    name: 'Quality scores',
    description: 'The score of each conversation, as stored.',
  },
  { key: 'includeTimestamps', name: 'Timestamps', description: 'When it was created and changed, in UTC.' },
  { key: 'includeApprovalHistory', name: 'Approval history', description: 'Who reviewed it, when, and how.' },
  { key: 'includeParentReferences', name: 'Parent references', description: 'What it was made from.' },
  {
    key: 'includeFullContent',
    name: 'Full content',
    description: 'The turns themselves; without them only what is known about a conversation.',
  },
];

type Answer = 'go on' | 'contents' | 'system prompt' | 'pairs' | 'gzip' | 'strict' | 'reset';

/** Members of a request that "Reset to defaults" takes back: what a preset can have set beside what is asked here, too. */
const OPTIONS = [
  'content',
  'systemPrompt',
  'expand',
  'gzip',
  'strict',
  'layout',
  'rules',
  'roleMap',
  'maxSkipped',
  'verify',
  'tokens',
  'allowEmpty',
  'ignoreMissing',
] as const satisfies readonly (keyof Draft)[];

/** What the file shows, each with an explanation; the defaults do. */
export const optionsStep: Step = {
  title: 'Options',
  async run(wizard) {
    const { prompts } = wizard;
    prompts.say('All of them have a usual answer, so you can just go on.');
    let last: Answer = 'go on';
    for (;;) {
      last = await prompts.select('Options', choicesOf(wizard), { initial: last, clears: true });
      if (last === 'go on') {
        prompts.say(`Written as ${fileInWords(inputOf(wizard))}.`);
        return;
      }
      try {
        await change(wizard, last);
      } catch (error) {
        // Going back from one option leads to their list, not out of it.
        if (!(error instanceof Back)) throw error;
      }
    }
  },
};

function choicesOf(wizard: Wizard): Choice<Answer>[] {
  const request = requestOf(wizard);
  const { format, target, systemPrompt, expand, gzip, strict } = request;
  const hasChanges = OPTIONS.some((key) => wizard.draft[key] !== undefined);
  return [
    {
      value: 'go on',
      name: hasChanges ? 'Go on with these' : 'Go on with the usual ones',
      description: 'You see a preview before anything is written.',
    },
    ...(target === undefined
      ? [
          {
            value: 'contents' as const,
            name: `The file shows: ${contentsOf(request)}`,
            description: 'Which of the six parts of a conversation are written.',
          },
        ]
      : []),
    ...(format === 'jsonl'
      ? [
          {
            value: 'system prompt' as const,
            name: `System prompt: ${promptInWords(systemPrompt)}`,
            description: 'For conversations that have none of their own.',
          },
          {
            value: 'pairs' as const,
            name: `One row per answer: ${yesNo(expand === 'pairs')}`,
            description: 'Each answer becomes an example of its own, with the turns before it.',
          },
        ]
      : []),
    {
      value: 'gzip',
      name: `Compressed: ${yesNo(gzip)}`,
      description: 'About a quarter of the size, with .gz at the end of the name.',
      disabled: impliesGzip(wizard.draft) ? 'the name of the file ends in .gz' : undefined,
    },
    {
      value: 'strict',
      name: `Imperfect conversations stop the export: ${yesNo(strict)}`,
      description: 'With no, they are left out or put right, counted, and listed with the reason.',
    },
    {
      value: 'reset',
      name: 'Reset to defaults',
      description: 'All options as they come.',
      disabled: hasChanges ? undefined : 'they are',
    },
  ];
}

async function change(wizard: Wizard, what: Exclude<Answer, 'go on'>): Promise<void> {
  const { draft } = wizard;
  switch (what) {
    case 'contents':
      draft.content = await chooseContents(wizard);
      return;
    case 'system prompt':
      return changeSystemPrompt(wizard);
    case 'pairs':
      return toggle(draft, 'expand', 'pairs');
    case 'gzip':
      return toggle(draft, 'gzip', true);
    case 'strict':
      return toggle(draft, 'strict', true);
    case 'reset':
      for (const key of OPTIONS) delete draft[key];
  }
}

function toggle<K extends keyof Draft>(draft: Draft, key: K, on: NonNullable<Draft[K]>): void {
  if (draft[key] === on) delete draft[key];
  else draft[key] = on;
}

async function chooseContents(wizard: Wizard): Promise<ExportRequest['content']> {
  const { content, format } = requestOf(wizard);
  const isFixed = (key: Include): boolean => key === 'includeFullContent' && format === 'jsonl';
  const chosen = await wizard.prompts.checkbox(
    'The file shows',
    INCLUDES.map(({ key, name, description }) => ({
      value: key,
      name,
      description,
      checked: content[key],
      disabled: isFixed(key) ? 'always, in JSONL' : undefined,
    })),
  );
  const isShown = (key: Include): boolean => chosen.includes(key) || isFixed(key);
  return Object.fromEntries(INCLUDES.map(({ key }) => [key, isShown(key)])) as ExportRequest['content'];
}

async function changeSystemPrompt({ draft, prompts }: Wizard): Promise<void> {
  const { systemPrompt } = draft;
  const before = systemPrompt !== undefined && 'text' in systemPrompt ? systemPrompt.text : '';
  // A line takes no line breaks; a text that has some is kept by typing nothing, and removed by the reset.
  const fitsALine = !/\p{Cc}/u.test(before);
  const text = await prompts.input(`System prompt (nothing: ${fitsALine ? 'as stored' : 'keep it'})`, {
    initial: fitsALine ? before : '',
    clears: true,
  });
  if (text.trim() !== '') draft.systemPrompt = { text };
  else if (fitsALine) delete draft.systemPrompt;
}

function promptInWords(systemPrompt: ExportRequest['systemPrompt']): string {
  if (systemPrompt === undefined) return 'as stored';
  return 'text' in systemPrompt ? `"${systemPrompt.text}"` : `from parameters.${systemPrompt.parameter}`;
}

function contentsOf({ content }: ExportRequest): string {
  const names = INCLUDES.filter(({ key }) => content[key]).map(({ name }) => name.toLowerCase());
  return names.length === 0 ? 'only ids' : names.join(', ');
}

function yesNo(is: boolean): string {
  return is ? 'yes' : 'no';
}
