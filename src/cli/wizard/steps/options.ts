import type { ExportRequest } from '../../../request.js';
import { requestOf, type Step, type Wizard } from '../wizard.js';

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

/** What the file shows, each with an explanation; the defaults do. */
export const optionsStep: Step = {
  title: 'Options',
  async run(wizard) {
    const { draft, prompts } = wizard;
    let last: Answer = 'go on';
    for (;;) {
      const request = requestOf(wizard);
      const isTraining = request.format === 'jsonl';
      last = await prompts.select<Answer>(
        'Options',
        [
          { value: 'go on', name: 'Go on with these', description: 'The defaults are right for most.' },
          ...(request.target === undefined
            ? [
                {
                  value: 'contents' as const,
                  name: `Show: ${contentsOf(request)}`,
                  description: 'What the file shows of each conversation.',
                },
              ]
            : []),
          ...(isTraining
            ? [
                {
                  value: 'system prompt' as const,
                  name: `System prompt: ${request.systemPrompt === undefined ? 'as stored' : 'text' in request.systemPrompt ? `"${request.systemPrompt.text}"` : request.systemPrompt.parameter}`,
                  description: 'For conversations that store none.',
                },
                {
                  value: 'pairs' as const,
                  name: `One row per answer: ${yesNo(request.expand === 'pairs')}`,
                  description: 'Each assistant turn becomes an example of its own, with the turns before it.',
                },
              ]
            : []),
          {
            value: 'gzip',
            name: `Compress: ${yesNo(request.gzip)}`,
            description: 'Adds .gz; most trainers read it.',
          },
          {
            value: 'strict',
            name: `Fail on imperfect conversations: ${yesNo(request.strict)}`,
            description: 'Otherwise they are skipped or repaired, counted, and listed with the reason.',
          },
          { value: 'reset', name: 'Reset to defaults', description: 'All options as they come.' },
        ],
        { initial: last },
      );
      if (last === 'go on') return;
      await change(wizard, last);
      if (last === 'reset') prompts.say('All options are at their defaults.');
      void draft;
    }
  },
};

async function change({ draft, prompts, ...rest }: Wizard, what: Exclude<Answer, 'go on'>): Promise<void> {
  switch (what) {
    case 'contents': {
      const { content, format } = requestOf({ draft, prompts, ...rest });
      const chosen = await prompts.checkbox(
        'The file shows',
        INCLUDES.map(({ key, name, description }) => ({
          value: key,
          name,
          description,
          checked: content[key],
          disabled: key === 'includeFullContent' && format === 'jsonl' ? 'always, in JSONL' : undefined,
        })),
      );
      draft.content = Object.fromEntries(
        INCLUDES.map(({ key }) => [
          key,
          chosen.includes(key) || (key === 'includeFullContent' && format === 'jsonl'),
        ]),
      );
      return;
    }
    case 'system prompt': {
      const before =
        draft.systemPrompt !== undefined && 'text' in draft.systemPrompt ? draft.systemPrompt.text : '';
      const text = await prompts.input('System prompt (nothing: as stored)', { initial: before });
      if (text.trim() === '') delete draft.systemPrompt;
      else draft.systemPrompt = { text };
      return;
    }
    case 'pairs':
      if (draft.expand === 'pairs') delete draft.expand;
      else draft.expand = 'pairs';
      return;
    case 'gzip':
      draft.gzip = draft.gzip !== true;
      return;
    case 'strict':
      draft.strict = draft.strict !== true;
      return;
    case 'reset':
      for (const key of [
        'content',
        'systemPrompt',
        'expand',
        'gzip',
        'strict',
        'layout',
        'rules',
        'roleMap',
      ] as const) {
        delete draft[key];
      }
  }
}

function contentsOf({ content }: ExportRequest): string {
  const names = INCLUDES.filter(({ key }) => content[key]).map(({ name }) => name.toLowerCase());
  return names.length === 0 ? 'only the turns' : names.join(', ');
}

function yesNo(is: boolean): string {
  return is ? 'yes' : 'no';
}
