import { listAt } from './dialogue-checks.js';
import { checkMessages } from './messages-checks.js';
import { teller, type MessagesRules } from './messages-rules.js';
import { checkOrder } from './order-checks.js';
import { problems, type JsonObject } from './row-checks.js';
import { below } from './row-path.js';
import type { Report } from './target.js';

/** Checks the prompt of a pair under `key`: messages as the reader wants them, up to the question that both answers answer. */
export function checkPrompt(
  object: JsonObject,
  key: string,
  parent: string,
  report: Report,
  rules: MessagesRules,
): void {
  const messages = listAt(object, key, parent, report);
  if (messages === null) return;
  const path = below(parent, key);
  const promptRules: MessagesRules = {
    ...rules,
    // The answers stand elsewhere, and nothing of a prompt is trained.
    verdicts: {
      ...rules.verdicts,
      'no-assistant': 'accepted',
      'ends-with-user': 'accepted',
      'nothing-trained': 'accepted',
    },
  };
  const tell = teller(promptRules, report);
  const places = checkMessages(messages, path, promptRules, tell);
  checkOrder(places, path, promptRules, tell);
  const last = places.at(-1);
  if (last?.role !== 'assistant' && last?.role !== 'system') return;
  problems(report).error(
    'ends-with-assistant',
    below(last.path, 'role'),
    `${rules.reader} expects the prompt to end with the question that both answers answer`,
    'Cut the prompt after its last question.',
  );
}
