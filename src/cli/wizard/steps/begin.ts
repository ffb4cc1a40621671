import type { Preset } from '../../presets.js';
import { conversationsInWords, fileInWords } from '../in-words.js';
import type { Choice } from '../prompts.js';
import type { Step, Wizard } from '../wizard.js';

const NOTHING: Preset = {};

/** What was exported last, a preset, or nothing: where the other questions begin. */
export const beginStep: Step = {
  title: 'Where to begin',
  applies: ({ lastUsed, settings }) => lastUsed !== null || settings.presets.size > 0,
  async run(wizard) {
    const { lastUsed, settings, prompts } = wizard;
    const choices: Choice<Preset>[] = [
      ...(lastUsed === null
        ? []
        : [{ value: lastUsed, name: 'As you exported last', description: describe(lastUsed) }]),
      ...[...settings.presets].map(([name, { preset }]) => ({
        value: preset,
        name: `Preset ${name}`,
        description: describe(preset),
      })),
      { value: NOTHING, name: 'From scratch', description: 'Every question with its usual answer.' },
    ];
    const chosen = await prompts.select('Begin with', choices, { initial: wizard.begun ?? undefined });
    // Coming back and going on with the same keeps the answers given since.
    if (chosen !== wizard.begun) replaceDraft(wizard, chosen);
    wizard.begun = chosen;
  },
};

function replaceDraft({ draft, aside, defaults }: Wizard, chosen: Preset): void {
  for (const key of Object.keys(draft)) delete draft[key as keyof typeof draft];
  delete aside.filters;
  delete aside.ids;
  Object.assign(draft, chosen === NOTHING ? defaults : structuredClone(chosen), { output: defaults.output });
}

function describe(preset: Preset): string {
  return `${conversationsInWords(preset)}. Written as ${fileInWords(preset)}. You can still change everything.`;
}
