import type { ByteWriter } from './bytes/byte-writer.js';
import type { InspectOptions } from './judging/checks.js';
import type { Conversation, ConversationField } from './conversation.js';
import { LoraExportError } from './errors.js';
import { expand } from './judging/expand.js';
import type { Encoder, Format } from './formats/format.js';
import { formats } from './formats/index.js';
import { judgeWith, type Judgement } from './judging/judge.js';
import type { ExportRequest } from './request.js';
import { mapRoles } from './judging/role-map.js';
import { policyOf } from './judging/rules.js';
import { withSystemPrompt } from './judging/system-prompt.js';
import { loadTarget } from './targets/index.js';
import type { Preference, RowShape, Target } from './targets/target.js';
import type { Validator } from './validate.js';
import {
  lazyTokenCounter,
  loadTokenCounter,
  overTokenLimit,
  TokenTally,
  type CountTokens,
} from './judging/tokens.js';

/** How a request turns conversations into bytes: one place for what formats and targets have in common. */
export interface Recipe {
  readonly extension: string;
  /** The members that are read; the database sends no others. */
  readonly fields: readonly ConversationField[];
  /** The document starts with the number of its rows. */
  readonly needsCount: boolean;
  /** Checks the very bytes that are written, as `validate` would; null where that was not asked for. */
  validator(): Validator | null;
  /** A line for the user afterwards, such as how to register the file with the trainer. */
  advice(fileName: string): string | null;
  /** Everything one attempt at the document needs, its state included. */
  begin(exportedAt: string): DocumentWriter;
}

/** One document in the making. */
export interface DocumentWriter {
  /** Where rows are made of two conversations: takes the other side, all of it, before the first `judge`. */
  readonly counterparts: ((rejected: Conversation) => void) | null;
  /** Prepares a conversation (roles mapped, system prompt added) and decides about it. */
  judge(conversation: Conversation): Judgement;
  /** The document. `row` takes a judged conversation and says how many rows it became. */
  start(out: ByteWriter, count: number | null): void;
  rows(conversation: Conversation, out: ByteWriter): number;
  finish(out: ByteWriter): void;
  /** What was done to the data on the way, by plain-words reason: how often. */
  notes(): Readonly<Record<string, number>>;
  /** Token counts of what is written, when they were asked for. */
  readonly tokens: TokenTally | null;
}

/** @throws LoraExportError `E_USAGE` when the target has no such shape */
export async function recipeOf(request: ExportRequest): Promise<Recipe> {
  const { target: name, format: formatName, content, layout } = request;
  const format = await formats[formatName].load();
  const target = name === undefined ? null : await loadTarget(name);
  const shape = target === null ? null : shapeOf(target, name as string, request.shape);
  const count = request.tokens ? await loadTokenCounter() : lazyTokenCounter();
  const policy = policyOf(target === null ? 'plain' : 'strict', {
    ...target?.policy,
    ...request.rules,
  });
  const judge = judgeWith(policy, lookOf(target, count));
  // Plain files need none of these, and small exports feel what is loaded.
  const isChecked = request.verify ?? target !== null;
  const createValidator = isChecked ? (await import('./validate.js')).createValidator : null;
  const targetEncoder = target === null ? null : (await import('./targets/encoder.js')).targetEncoder;
  const Counterparts =
    shape?.kind === 'pair' ? (await import('./preferences/counterparts.js')).Counterparts : null;
  return {
    extension: formats[formatName].extension,
    fields: fieldsOf(request, format, target, shape),
    needsCount: target === null && format.needsCount === true,
    validator: () =>
      createValidator === null
        ? null
        : createValidator({
            target: target ?? undefined,
            targetName: name,
            shape: shape?.name,
            format: formatName,
            bom: formatName !== 'csv' && !(target?.bom && layout.bom) ? false : undefined,
            allowEmpty: true,
            // Two conversations may well say the same; and remembering rows would take memory.
            duplicates: false,
          }),
    advice: (fileName) => (shape === null ? null : (target?.advice?.(fileName, shape.name) ?? null)),
    begin(exportedAt) {
      const prompt = request.systemPrompt === undefined ? null : withSystemPrompt(request.systemPrompt);
      const roles = request.roleMap === undefined ? null : mapRoles(new Map(Object.entries(request.roleMap)));
      const prepared = (conversation: Conversation): Conversation => {
        const mapped = roles === null ? conversation : roles(conversation);
        return prompt === null ? mapped : prompt.apply(mapped);
      };
      const pairs = target === null || Counterparts === null ? null : new Counterparts(target);
      const encoder: Encoder =
        target === null || shape === null || targetEncoder === null
          ? format.encoder({ ...content, ...layout, exportedAt })
          : targetEncoder(target, shape.kind === 'pair' ? null : shape.rows, layout.bom);
      const rowsOf = request.expand === 'pairs' ? expand : (conversation: Conversation) => [conversation];
      return {
        counterparts: pairs === null ? null : (rejected) => pairs.add(judge(prepared(rejected)).conversation),
        judge(conversation) {
          const judgement = judge(prepared(conversation));
          return pairs === null ? judgement : pairs.judge(judgement, policy);
        },
        start: (out, rows) => encoder.begin(out, rows),
        rows(conversation, out) {
          if (pairs !== null && shape?.kind === 'pair') return pairs.write(conversation, shape.rows, out);
          const rows = rowsOf(conversation);
          for (const row of rows) encoder.conversation(row, out);
          return rows.length;
        },
        finish: (out) => encoder.end(out),
        notes: () => ({ ...encoder.notes?.(), ...pairs?.notes() }),
        tokens: request.tokens ? new TokenTally(count, target?.limits.maxTokens) : null,
      };
    },
  };
}

type ChosenShape =
  | { readonly kind: 'conversation'; readonly name: string; readonly rows: RowShape }
  | { readonly kind: 'pair'; readonly name: string; readonly rows: RowShape<Preference> };

function shapeOf(target: Target, name: string, wanted: string | undefined): ChosenShape {
  const names = [...Object.keys(target.shapes), ...Object.keys(target.preferences ?? {})];
  const chosen = wanted ?? names[0] ?? '';
  const rows = target.shapes[chosen];
  if (rows !== undefined) return { kind: 'conversation', name: chosen, rows };
  const pairs = target.preferences?.[chosen];
  if (pairs !== undefined) return { kind: 'pair', name: chosen, rows: pairs };
  throw new LoraExportError('E_USAGE', `Target ${name} has no shape ${chosen}.`, {
    hint: `Its shapes: ${names.join(', ')}.`,
  });
}

/** What inspecting has to look for on behalf of a target. */
function lookOf(target: Target | null, count: CountTokens): InspectOptions {
  if (target === null) return {};
  const { maxTokens } = target.limits;
  return {
    tools: target.tools === 'in-turn' ? 'in-turn' : target.tools ? 'allowed' : 'refused',
    reserved: target.reserved?.map((mark) => Buffer.from(mark)),
    isTooLong: maxTokens === undefined ? undefined : overTokenLimit(maxTokens, count),
  };
}

function fieldsOf(
  { content, systemPrompt }: ExportRequest,
  format: Format,
  target: Target | null,
  shape: ChosenShape | null,
): ConversationField[] {
  // The tier may become part of the file's name.
  const fields = new Set<ConversationField>(['tier']);
  if (target === null) for (const field of format.fields(content)) fields.add(field);
  if (target?.tools || (systemPrompt !== undefined && 'parameter' in systemPrompt)) fields.add('parameters');
  if (shape?.kind === 'pair') fields.add('parentId');
  return [...fields];
}
