import type { ByteWriter } from '../bytes/byte-writer.js';
import { Text } from '../bytes/text.js';
import type { Conversation } from '../conversation.js';
import type { Judgement } from '../judging/judge.js';
import { pairUp, preferenceKey } from './pair-up.js';
import type { Policy } from '../judging/rules.js';
import type { Preference, RowShape, Target } from '../targets/target.js';

/** The rejected side of preference pairs, gathered before the approved side is read. */
export class Counterparts {
  readonly #byPrompt = new Map<string, Conversation[]>();
  readonly #paired = new Set<string>();
  readonly #ofApproved = new WeakMap<Conversation, readonly Preference[]>();
  readonly #target: Target;
  #count = 0;
  #unusable = 0;

  constructor(target: Target) {
    this.#target = target;
  }

  /** Keeps a rejected conversation; null for one that the checks left out. Memory grows with the rejected ones. */
  add(rejected: Conversation | null): void {
    if (rejected === null) {
      this.#unusable++;
      return;
    }
    const key = preferenceKey(rejected);
    const same = this.#byPrompt.get(key);
    if (same === undefined) this.#byPrompt.set(key, [ownCopy(rejected)]);
    else same.push(ownCopy(rejected));
    this.#count++;
  }

  /** Leaves out an approved conversation that nothing can be paired with. */
  judge(judgement: Judgement, policy: Policy): Judgement {
    const { conversation, findings } = judgement;
    if (conversation === null) return judgement;
    const candidates = this.#byPrompt.get(preferenceKey(conversation)) ?? [];
    const { preferences, leftOver } = pairUp(conversation, candidates, this.#target);
    if (preferences.length === 0) {
      const rule = 'no-counterpart';
      return { findings: [...findings, { rule, action: policy[rule] }], conversation: null };
    }
    this.#ofApproved.set(conversation, preferences);
    const left = new Set(leftOver.map((one) => one.conversation.id));
    for (const { id } of candidates) if (!left.has(id)) this.#paired.add(id);
    return judgement;
  }

  /** Writes the rows of an approved conversation that was judged before, and says how many they are. */
  write(approved: Conversation, shape: RowShape<Preference>, out: ByteWriter): number {
    const preferences = this.#ofApproved.get(approved) ?? [];
    for (const preference of preferences) shape.write(preference, out);
    return preferences.length;
  }

  /** What became of the rejected side. */
  notes(): Record<string, number> {
    return {
      'rejected conversations paired': this.#paired.size,
      'rejected conversations without an approved counterpart': this.#count - this.#paired.size,
      'rejected conversations that the checks left out': this.#unusable,
    };
  }
}

/** Texts are views into packets, which one kept text would keep alive whole. */
function ownCopy(conversation: Conversation): Conversation {
  const { id, conversationId, parentId, turns } = conversation;
  const copy = (text: Text): Text => new Text(Buffer.from(text.bytes()));
  return {
    ...conversation,
    id,
    conversationId: copy(conversationId),
    parentId: parentId === null ? null : copy(parentId),
    tier: null,
    parameters: null,
    turns: turns.map((turn) => ({ ...turn, content: turn.content === null ? null : copy(turn.content) })),
  };
}
