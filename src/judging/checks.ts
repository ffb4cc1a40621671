import { isBlank } from '../bytes/blank.js';
import { hasLoneSurrogate } from '../bytes/json-escapes.js';
import { isIsoInstant, isJsonNumber } from '../bytes/scalars.js';
import { FOUND_CONTROL, FOUND_MARK, textSearch } from '../bytes/text-search.js';
import type { Text } from '../bytes/text.js';
import { ROLES, type Conversation, type Role, type Turn } from '../conversation.js';
import type { Rule } from './rules.js';
import { toolSchemasOf } from '../tool-schemas.js';
import { hasToolTurns, toolTurnsFit } from '../tool-turns.js';

/** One thing found in one conversation. */
export interface Finding {
  readonly rule: Rule;
  /** The turn number it was found at, where there is one. */
  readonly turn?: number;
}

/** What inspecting looks for besides the order of turns; scanning text costs, so it is asked for. */
export interface InspectOptions {
  /** Turns of tools are part of a conversation: roles `tool_call` and `tool`. Default: they are unknown roles. */
  readonly tools?: 'allowed' | 'in-turn' | 'refused' | undefined;
  /** Texts that must not stand in a turn. Default: none. */
  readonly reserved?: readonly Buffer[] | undefined;
  readonly controlCharacters?: boolean | undefined;
  /** Whether a conversation is longer than the target reads. Default: none is. */
  readonly isTooLong?: ((conversation: Conversation) => boolean) | undefined;
}

/** What is wrong with a conversation, in the order of its turns; nothing for nearly all. */
export function inspect(conversation: Conversation, options: InspectOptions = {}): Finding[] {
  return inspectorOf(options)(conversation);
}

/** {@link inspect} for many conversations: what depends on the options alone is made once. */
export function inspectorOf(options: InspectOptions): (conversation: Conversation) => Finding[] {
  const { reserved = [], controlCharacters = false } = options;
  const search =
    reserved.length > 0 || controlCharacters
      ? textSearch({ marks: reserved, controls: controlCharacters })
      : null;
  return (conversation) => inspectWith(search, conversation, options);
}

/** Says which of the texts and characters that were asked for it found; null where nothing was. */
type TextSearch = ReturnType<typeof textSearch> | null;

function inspectWith(search: TextSearch, conversation: Conversation, options: InspectOptions): Finding[] {
  const { turns } = conversation;
  if (turns.length === 0) return [{ rule: 'no-turns' }];
  const findings: Finding[] = [];
  let hasUser = false;
  let hasAssistant = false;
  let inDialogue = false;
  let previous: Turn | undefined;
  for (const turn of turns) {
    const { role, number } = turn;
    const report = (rule: Rule): void => void findings.push({ rule, turn: number });
    if (!isRole(role) && (options.tools === undefined || !isToolRole(role))) report('unknown-role');
    inspectContent(turn, search, report);
    if (role === 'system' && inDialogue) report('late-system');
    if (role === 'system' && previous?.role === 'system' && !inDialogue) report('several-system');
    if ((role === 'assistant' || role === 'tool_call') && !inDialogue) report('starts-with-assistant');
    if (previous === undefined) {
      if (number !== 1) report('turn-number-gap');
    } else {
      if (previous.role === role && role !== 'system') report('equal-neighbours');
      if (previous.number === number) report('duplicate-turn-number');
      else if (previous.number + 1 !== number) report('turn-number-gap');
    }
    inDialogue ||= role !== 'system';
    hasUser ||= role === 'user';
    hasAssistant ||= role === 'assistant';
    previous = turn;
  }
  if (!hasUser) findings.push({ rule: 'no-user' });
  if (!hasAssistant) findings.push({ rule: 'no-assistant' });
  if (previous !== undefined && previous.role !== 'assistant' && inDialogue) {
    if (previous.role === 'user' || options.tools !== undefined)
      findings.push({ rule: 'ends-with-user', turn: previous.number });
  }
  if (
    options.tools !== undefined &&
    hasToolTurns(turns) &&
    (options.tools === 'refused' || !toolTurnsFit(turns, options.tools === 'in-turn'))
  ) {
    findings.push({ rule: 'tool-turn' });
  }
  if (
    options.tools !== undefined &&
    options.tools !== 'refused' &&
    toolSchemasOf(conversation.parameters).isMalformed
  ) {
    findings.push({ rule: 'tool-schema' });
  }
  if (options.isTooLong?.(conversation)) findings.push({ rule: 'over-token-limit' });
  inspectMetadata(conversation, findings);
  return findings;
}

function inspectContent({ role, content }: Turn, search: TextSearch, report: (rule: Rule) => void): void {
  if (content === null) {
    report('null-content');
    return;
  }
  if (isBlank(content)) report(role === 'assistant' ? 'blank-answer' : 'blank-content');
  else if (role === 'assistant' && looksCutOff(content)) report('truncated-answer');
  if (search === null) return;
  const found = search(content);
  if ((found & FOUND_MARK) !== 0) report('reserved-text');
  if ((found & FOUND_CONTROL) !== 0) report('control-character');
}

function inspectMetadata(conversation: Conversation, findings: Finding[]): void {
  const { qualityScore, parameters, reviewHistory, createdAt, updatedAt } = conversation;
  if (qualityScore !== null && !isJsonNumber(qualityScore)) findings.push({ rule: 'not-a-number' });
  if (isBadInstant(createdAt) || isBadInstant(updatedAt)) findings.push({ rule: 'not-a-date' });
  if (isBadJson(parameters) || isBadJson(reviewHistory)) findings.push({ rule: 'lone-surrogate' });
}

function isBadInstant(instant: Text | null): boolean {
  return instant !== null && !isIsoInstant(instant);
}

function isBadJson(json: Text | null): boolean {
  return json !== null && hasLoneSurrogate(json);
}

function isRole(role: string): role is Role {
  return (ROLES as readonly string[]).includes(role);
}

function isToolRole(role: string): boolean {
  return role === 'tool' || role === 'tool_call';
}

/**
 * The signs of text that was cut out of a JSON string at an escape; both were seen in production data. A quote opens
 * when it stands after a space or alone; bytes before `start` belong to another turn.
 */
function looksCutOff({ source, start, end }: Text): boolean {
  const last = source[end - 1];
  return last === 0x5c || (last === 0x22 && (end - 1 === start || source[end - 2] === 0x20));
}
