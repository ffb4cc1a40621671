import { commandLineOf } from '../../../command-line.js';
import type { Preset } from '../../presets.js';
import type { Choice } from '../prompts.js';
import type { Step, Wizard } from '../wizard.js';

/** What was exported last, a preset, or nothing: where the other questions begin. */
export const beginStep: Step = {
  title: 'Begin with',
  applies: ({ lastUsed, settings }) => lastUsed !== null || settings.presets.size > 0,
  async run(wizard) {
    const { lastUsed, settings, prompts } = wizard;
    const choices: Choice<Preset>[] = [
      ...(lastUsed === null
        ? []
        : [{ value: lastUsed, name: 'What you exported last', description: describe(lastUsed) }]),
      ...[...settings.presets].map(([name, { preset }]) => ({
        value: preset,
        name: `Preset ${name}`,
        description: describe(preset),
      })),
      { value: {}, name: 'Nothing yet', description: 'Every question with its usual answer.' },
    ];
    const chosen = await prompts.select('Begin with', choices);
    replaceDraft(wizard, chosen);
  },
};

function replaceDraft({ draft, defaults }: Wizard, chosen: Preset): void {
  for (const key of Object.keys(draft)) delete draft[key as keyof typeof draft];
  Object.assign(draft, Object.keys(chosen).length === 0 ? defaults : structuredClone(chosen), {
    output: defaults.output,
  });
}

function describe(preset: Preset): string {
  const words = commandLineOf({ ...preset, output: { kind: 'managed', directory: '-' } });
  return words === null ? 'A long list of ids.' : words.slice(2).join(' ');
}
