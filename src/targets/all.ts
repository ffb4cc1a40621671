import { loadTarget, targetNames, type TargetName } from './index.js';
import type { Target } from './target.js';

/** Every target, loaded: for what shows them all, such as a menu. */
export const targets = Object.fromEntries(
  await Promise.all(targetNames.map(async (name) => [name, await loadTarget(name)] as const)),
) as Readonly<Record<TargetName, Target>>;
