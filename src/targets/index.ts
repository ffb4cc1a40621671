import type { Target } from './target.js';

/** Every target by the name that `--target` uses: an export needs one of them, and most commands only the names. */
const loaders = {
  openai: async () => (await import('./openai.js')).openai,
  'openai-dpo': async () => (await import('./openai-dpo.js')).openaiDpo,
  azure: async () => (await import('./azure.js')).azure,
  together: async () => (await import('./together.js')).together,
  fireworks: async () => (await import('./fireworks.js')).fireworks,
  'bedrock-claude': async () => (await import('./bedrock-claude.js')).bedrockClaude,
  'bedrock-converse': async () => (await import('./bedrock-converse.js')).bedrockConverse,
  gemini: async () => (await import('./gemini.js')).gemini,
  mistral: async () => (await import('./mistral.js')).mistral,
  trl: async () => (await import('./trl.js')).trl,
  axolotl: async () => (await import('./axolotl.js')).axolotl,
  'llama-factory': async () => (await import('./llama-factory.js')).llamaFactory,
  sharegpt: async () => (await import('./sharegpt.js')).sharegpt,
  alpaca: async () => (await import('./alpaca.js')).alpaca,
  'prompt-completion': async () => (await import('./prompt-completion.js')).promptCompletion,
} satisfies Record<string, () => Promise<Target>>;

export type TargetName = keyof typeof loaders;

export const targetNames = Object.keys(loaders) as TargetName[];

/** The rows of a target, and its rules. */
export function loadTarget(name: TargetName): Promise<Target> {
  return loaders[name]();
}
