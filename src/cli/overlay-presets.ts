import { LoraExportError } from '../errors.js';
import type { Preset } from './presets.js';

/** Members that hold others: each of those can be said again by itself. */
const NESTED = [
  'filters',
  'content',
  'layout',
  'rules',
  'roleMap',
] as const satisfies readonly (keyof Preset)[];

/**
 * What is asked for when more is said on top: members of `over` win, filters, rules and the like one by one. A scope
 * replaces the ids that belonged to another one; a target or a format replaces what said how the file is written.
 * @param over members without a value must be absent
 * @param baseName how messages name `base`, where only its own words may replace its target; otherwise a format does
 * @throws LoraExportError `E_USAGE` when `over` has a format that the target of the named base is not written in
 */
export function overlay(base: Preset, over: Preset, baseName?: string): Preset {
  const kept = { ...base };
  if (over.scope !== undefined && over.scope !== 'selected') delete kept.ids;
  if (over.target !== undefined && over.target !== base.target) {
    for (const member of ['format', 'shape', 'content', 'layout'] as const) delete kept[member];
  }
  if (over.format !== undefined && over.target === undefined) dropForFormat(kept, over.format, baseName);
  // Naming ids says which conversations; only a scope that contradicts them has to be said.
  const scope = over.scope ?? (over.ids === undefined ? kept.scope : 'selected');
  const merged: Preset = { ...kept, ...over, ...(scope === undefined ? {} : { scope }) };
  for (const member of NESTED) {
    const both = { ...kept[member], ...over[member] };
    if (Object.keys(both).length > 0) Object.assign(merged, { [member]: both });
  }
  return merged;
}

function dropForFormat(kept: Preset, format: string, baseName: string | undefined): void {
  if (kept.target !== undefined && baseName === undefined) {
    delete kept.target;
    delete kept.shape;
  } else if (kept.target !== undefined && format !== 'jsonl') {
    throw new LoraExportError(
      'E_USAGE',
      `--format ${format} and the target of ${baseName} contradict each other: ${kept.target} is written as jsonl.`,
      { hint: 'Leave --format out, or name another preset.' },
    );
  }
  // A layout is that of one format.
  if (format !== (kept.format ?? 'jsonl')) delete kept.layout;
}
