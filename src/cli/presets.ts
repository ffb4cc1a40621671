import { z } from 'zod';
import { LoraExportError } from '../errors.js';
import { nearestWord } from '../nearest-word.js';
import { exportRequest, parseRequest, type ExportRequestInput } from '../request.js';

/** Members of a request that say where, for whom or how fast; a preset says what. */
const NO_PRESET = [
  'output',
  'force',
  'batchSize',
  'retentionHours',
  'schema',
  'auditSchema',
  'userId',
  'allUsers',
] as const satisfies readonly (keyof ExportRequestInput)[];

/** What to export and how it is written, under a name: a request without its surroundings. */
export type Preset = Omit<ExportRequestInput, (typeof NO_PRESET)[number]>;

/** A preset and the configuration file that holds it. */
export interface StoredPreset {
  readonly preset: Preset;
  readonly path: string;
}

const members = Object.entries(exportRequest.shape).filter(
  ([key]) => !(NO_PRESET as readonly string[]).includes(key),
);

/**
 * The shape of a preset. It is for checking only: what it returns has the defaults of inner objects filled in, and a
 * preset holds no more than was said.
 */
export const presetSchema = z.strictObject(
  Object.fromEntries(members.map(([key, member]) => [key, withoutDefault(member).optional()])),
);

function withoutDefault(schema: z.core.$ZodType): z.ZodType {
  const inner = schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault ? schema.unwrap() : schema;
  return inner as z.ZodType;
}

/**
 * What a request asks for, without where and for whom. Scope, and format or target, are always in it, so that the
 * preset means the same when the settings have changed.
 * @throws LoraExportError `E_USAGE` when the request is not valid
 */
export function presetOf(request: ExportRequestInput): Preset {
  const { scope, format, target } = parseRequest(request);
  const told: ExportRequestInput = { scope, ...(target === undefined ? { format } : { target }), ...request };
  // A name that ends in .gz says where, and asks for compression only there.
  const compresses = request.output?.kind === 'file' && request.output.path.endsWith('.gz');
  return Object.fromEntries(
    members
      .map(([key]) => [key, told[key as keyof Preset]] as const)
      .filter(([key, value]) => !isEmpty(value) && !(key === 'gzip' && compresses))
      .filter(([key]) => !(key === 'format' && target !== undefined)),
  );
}

function isEmpty(value: unknown): boolean {
  return (
    value === undefined || (typeof value === 'object' && value !== null && Object.keys(value).length === 0)
  );
}

/**
 * The preset of that name.
 * @throws LoraExportError `E_USAGE` naming those that there are
 */
export function findPreset(presets: ReadonlyMap<string, StoredPreset>, name: string): StoredPreset {
  const found = presets.get(name);
  if (found !== undefined) return found;
  const names = [...presets.keys()];
  if (names.length === 0) {
    throw new LoraExportError('E_USAGE', `There is no preset ${name}; none is saved.`, {
      hint: '`lora-export export … --save-preset NAME` saves one.',
    });
  }
  const { word, distance } = nearestWord(name, names);
  throw new LoraExportError(
    'E_USAGE',
    `There is no preset ${name}.${distance <= 3 ? ` Did you mean ${word}?` : ''}`,
    { hint: `Presets: ${names.join(', ')}.` },
  );
}
