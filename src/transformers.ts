import { ByteWriter } from './bytes/byte-writer.js';
import { Text } from './bytes/text.js';
import { judgeWith } from './judging/judge.js';
import { policyOf } from './judging/rules.js';
import type { Conversation } from './conversation.js';
import { LoraExportError } from './errors.js';
import type { ContentOptions, Format, LayoutOptions } from './formats/format.js';
import { formats, type FormatName } from './formats/index.js';
import { content, layout as defaultLayout } from './request.js';
import { Tally, type ReportLine } from './judging/tally.js';
import { validateOutput } from './validate-output.js';

/** The configuration as the application stores it. A flag that is left out has the default that exports have. */
export interface ExportConfig extends Partial<ContentOptions> {
  /** Not looked at: the caller has chosen the conversations. */
  readonly scope?: string;
  /** Not looked at: the transformer has its format. */
  readonly format?: string;
}

/** A conversation as an application holds it: JSON columns as values, times as ISO 8601 or `Date`. */
export interface ConversationInput {
  /** Primary key. */
  readonly id: string;
  /** Business key. Default: the primary key. */
  readonly conversation_id?: string | null;
  readonly title?: string | null;
  readonly status?: string | null;
  readonly tier?: string | null;
  readonly category?: readonly string[] | null;
  readonly qualityScore?: number | null;
  readonly persona?: string | null;
  readonly emotion?: string | null;
  readonly topic?: string | null;
  readonly totalTurns?: number | null;
  readonly tokenCount?: number | null;
  readonly parentId?: string | null;
  readonly parentType?: string | null;
  readonly parameters?: unknown;
  readonly reviewHistory?: unknown;
  readonly createdAt?: string | Date | null;
  readonly updatedAt?: string | Date | null;
}

export interface TurnInput {
  readonly role: string;
  readonly content: string | null;
  /** Default: the place in the list, counted from 1. */
  readonly turnNumber?: number;
  /** 0 is "not measured". */
  readonly tokenCount?: number | null;
}

/** One format as functions on strings, for programs that hold their conversations in memory. */
export interface IExportTransformer {
  /**
   * The whole document, byte for byte what an export writes, except that JSON Lines have no newline at the very end.
   * Conversations that an export would skip are skipped here too.
   * @throws LoraExportError `E_USAGE` for JSON Lines without full content
   * @param turns by primary key (`id`); business keys are accepted too
   */
  transform(
    conversations: readonly ConversationInput[],
    turns: ReadonlyMap<string, readonly TurnInput[]>,
    config: ExportConfig,
  ): Promise<string>;
  /** @throws LoraExportError `E_DATA` naming the line, row or member of the first problem */
  validateOutput(output: string): true;
  /** Without the dot. */
  getFileExtension(): string;
  getMimeType(): string;
}

export interface TransformerOptions {
  /** The clock behind `export_date`. Default: that of the machine. */
  readonly now?: () => Date;
  /** Called for each conversation that is skipped, or written with a warning. */
  readonly onReport?: (line: ReportLine) => void;
  /** Default: indented JSON, CSV with byte order mark and formula guard. */
  readonly layout?: Partial<LayoutOptions>;
}

/**
 * The transformer of a format. It has no state: one can serve any number of calls.
 * @throws LoraExportError `E_USAGE` for a format that does not exist
 * @example
 * const transformer = getTransformer('json');
 * const text = await transformer.transform(conversations, turns, { includeApprovalHistory: true });
 */
export function getTransformer(format: string, options: TransformerOptions = {}): IExportTransformer {
  if (!isFormatName(format)) throw new LoraExportError('E_USAGE', `Unknown export format: ${format}`);
  const { extension, mediaType } = formats[format];
  return {
    transform: async (conversations, turns, config) =>
      encode(
        format,
        await formats[format].load(),
        conversations.map((conversation) => toConversation(conversation, turns)),
        config,
        options,
      ),
    validateOutput: (output) => validateOutput(format, output),
    getFileExtension: () => extension,
    getMimeType: () => mediaType,
  };
}

function isFormatName(name: string): name is FormatName {
  return Object.hasOwn(formats, name);
}

function encode(
  name: FormatName,
  format: Format,
  conversations: readonly Conversation[],
  config: ExportConfig,
  { now = () => new Date(), onReport, layout }: TransformerOptions,
): string {
  if (name === 'jsonl' && config.includeFullContent === false) {
    throw new LoraExportError(
      'E_USAGE',
      'jsonl without the turns teaches nothing: leave includeFullContent on',
    );
  }
  const tally = new Tally(conversations.length);
  const judge = judgeWith(policyOf('plain'), {});
  const admitted = conversations.flatMap((conversation) => {
    const judgement = judge(conversation);
    tally.admit(conversation, judgement, onReport);
    return judgement.conversation ?? [];
  });
  const encoder = format.encoder({
    ...content.parse({}),
    ...config,
    ...defaultLayout.parse({}),
    ...layout,
    exportedAt: now().toISOString(),
  });
  const out = new ByteWriter();
  encoder.begin(out, admitted.length);
  for (const conversation of admitted) encoder.conversation(conversation, out);
  encoder.end(out);
  const text = out.view().toString('utf8');
  // The original requirements join lines with newlines; a file of lines ends with one.
  return name === 'jsonl' ? text.replace(/\n$/, '') : text;
}

function toConversation(
  input: ConversationInput,
  turns: ReadonlyMap<string, readonly TurnInput[]>,
): Conversation {
  const businessKey = input.conversation_id ?? input.id;
  const own = (turns.get(input.id) ?? turns.get(businessKey) ?? [])
    .map((turn, index) => ({ ...turn, number: turn.turnNumber ?? index + 1 }))
    .toSorted((a, b) => a.number - b.number);
  return {
    id: input.id,
    conversationId: Text.of(businessKey),
    title: textOf(input.title),
    status: textOf(input.status),
    tier: textOf(input.tier),
    persona: textOf(input.persona),
    emotion: textOf(input.emotion),
    topic: textOf(input.topic),
    qualityScore: textOf(input.qualityScore),
    totalTurns: textOf(input.totalTurns),
    totalTokens: textOf(input.tokenCount),
    parentId: textOf(input.parentId),
    parentType: textOf(input.parentType),
    createdAt: instantOf(input.createdAt),
    updatedAt: instantOf(input.updatedAt),
    category: jsonOf(input.category),
    parameters: jsonOf(input.parameters),
    reviewHistory: jsonOf(input.reviewHistory),
    turnTokens: jsonOf(own.map(({ tokenCount }) => tokenCount ?? null)),
    turns: own.map(({ number, role, content }) => ({ number, role, content: textOf(content) })),
  };
}

function textOf(value: string | number | null | undefined): Text | null {
  return value === null || value === undefined ? null : Text.of(String(value));
}

function jsonOf(value: unknown): Text | null {
  return value === null || value === undefined ? null : Text.of(JSON.stringify(value));
}

/** A time without a zone means something else on every machine, so it is left as it is, and the checks report it. */
function instantOf(value: string | Date | null | undefined): Text | null {
  if (value === null || value === undefined) return null;
  const isInstant = value instanceof Date || /T.*(Z|[+-]\d\d:?\d\d)$/.test(value);
  const time = isInstant ? new Date(value) : undefined;
  return Text.of(time === undefined || Number.isNaN(time.getTime()) ? String(value) : time.toISOString());
}
