import { alpaca } from './alpaca.js';
import { axolotl } from './axolotl.js';
import { azure } from './azure.js';
import { bedrockClaude } from './bedrock-claude.js';
import { bedrockConverse } from './bedrock-converse.js';
import { fireworks } from './fireworks.js';
import { gemini } from './gemini.js';
import { llamaFactory } from './llama-factory.js';
import { mistral } from './mistral.js';
import { openaiDpo } from './openai-dpo.js';
import { openai } from './openai.js';
import { promptCompletion } from './prompt-completion.js';
import { sharegpt } from './sharegpt.js';
import type { Target } from './target.js';
import { together } from './together.js';
import { trl } from './trl.js';

/** Every target by the name that `--target` uses. */
export const targets = {
  openai,
  'openai-dpo': openaiDpo,
  azure,
  together,
  fireworks,
  'bedrock-claude': bedrockClaude,
  'bedrock-converse': bedrockConverse,
  gemini,
  mistral,
  trl,
  axolotl,
  'llama-factory': llamaFactory,
  sharegpt,
  alpaca,
  'prompt-completion': promptCompletion,
} satisfies Record<string, Target>;

export type TargetName = keyof typeof targets;

export const targetNames = Object.keys(targets) as TargetName[];
