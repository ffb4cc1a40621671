import type { CanonicalRole, MessagesRules, Tell } from './messages-rules.js';

/** What the order of messages is judged by. */
export interface Place {
  readonly path: string;
  /** Null where the message or its role could not be read: nothing is said about its neighbours. */
  readonly role: CanonicalRole | null;
  /** The ids of the tools that the message calls, `null` for a call without one; empty where it calls none. */
  readonly calls: readonly (string | null)[];
  /** The id of the call that the message answers, where it has one. */
  readonly answers: string | null;
}

/** Checks the order of roles, and that calls and answers of tools belong together. */
export function checkOrder(places: readonly Place[], path: string, rules: MessagesRules, tell: Tell): void {
  let inDialogue = false;
  let systems = 0;
  let previous: Place | undefined;
  for (const place of places) {
    const { role } = place;
    if (role === 'system') {
      checkSystem(place, previous, { inDialogue, isFirst: systems === 0 }, rules, tell);
      systems++;
    }
    if (role === 'assistant' && !inDialogue) {
      tell('starts-with-assistant', {
        path: `${place.path}.role`,
        message: `${rules.reader} expects the first message after the system prompt to be from the user`,
        fix: 'Remove what comes before the first user message, or the row.',
      });
    }
    if ((role === 'user' || role === 'assistant') && previous?.role === role) {
      const withCall = place.calls.length > 0 || previous.calls.length > 0;
      tell(withCall ? 'equal-neighbours-with-call' : 'equal-neighbours', {
        path: `${place.path}.role`,
        message: `${rules.reader} expects user and assistant to alternate; two messages in a row are from the ${role}`,
        fix: 'Join the two messages.',
        detail: role,
      });
    }
    inDialogue ||= role !== 'system';
    previous = place;
  }
  checkAnswers(places, rules, tell);
  checkEnd(places, path, rules, tell);
}

function checkSystem(
  place: Place,
  previous: Place | undefined,
  { inDialogue, isFirst }: { inDialogue: boolean; isFirst: boolean },
  { reader }: MessagesRules,
  tell: Tell,
): void {
  const path = `${place.path}.role`;
  if (inDialogue) {
    tell('late-system', {
      path,
      message: `${reader} expects the system message first; chat templates refuse it later or lose it`,
      fix: 'Move the system message to the front, or remove it.',
    });
  }
  if (isFirst) return;
  tell(previous?.role === 'system' ? 'several-system' : 'second-late-system', {
    path,
    message: `${reader} expects one system message`,
    fix: 'Join the system messages.',
  });
}

/** A row may end on a call: there the call is what is learned. */
function checkAnswers(places: readonly Place[], { tools, reader }: MessagesRules, tell: Tell): void {
  let caller: Place | null = null;
  let open = new Set<string | null>();
  for (const place of places) {
    if (place.role === 'tool') {
      const isKnown = caller !== null && (tools?.id === null || caller.calls.includes(place.answers));
      // An answer without an id was reported where its keys were looked at.
      if (!isKnown && (caller === null || place.answers !== null)) {
        tell('unmatched-answer', {
          path: place.path,
          message: `${reader} expects the answer of a tool to follow the message that calls it`,
          fix: 'Put the answer right after its call, with the id of the call as tool_call_id.',
        });
      }
      if (tools?.id === null) open.clear();
      else open.delete(place.answers);
    } else if (place.role !== null) {
      if (caller !== null && open.size > 0) {
        tell('unanswered-call', {
          path: `${caller.path}.tool_calls`,
          message: `${reader} expects every call of a tool to be answered before the next message`,
          fix: 'Add a message of role tool for each call, or remove the call.',
        });
      }
      caller = place.calls.length > 0 ? place : null;
      open = new Set(place.calls);
    }
  }
}

function checkEnd(places: readonly Place[], path: string, { reader }: MessagesRules, tell: Tell): void {
  const last = places.at(-1);
  if (last === undefined) return;
  if (!places.some(({ role }) => role === 'assistant')) {
    // Any message that could not be read may have been meant as the answer.
    if (places.some(({ role }) => role === null)) return;
    tell('no-assistant', {
      path,
      message: `${reader} finds no assistant message: the row teaches nothing`,
      fix: 'Add the answer, or remove the row.',
    });
  } else if (last.role !== null && last.role !== 'assistant') {
    tell('ends-with-user', {
      path: `${last.path}.role`,
      message: `${reader} expects the last message to be from the assistant; it is from the ${last.role}`,
      fix: 'Remove what comes after the last answer.',
      detail: last.role,
    });
  }
}
