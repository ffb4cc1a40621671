import { parseJson } from './json-text.js';
import type { MessagesRules, Tell, ToolRules } from './messages-rules.js';
import { isObject, type JsonObject } from './row-checks.js';
import { below } from './row-path.js';

/** Names of functions that the services take (OpenAI's published schema). */
export const SERVICE_NAME = /^[A-Za-z0-9_-]{1,64}$/;

/** Checks `tool_calls` of an answer and returns the ids, null for a call without one. */
export function checkCalls(
  value: unknown,
  path: string,
  rules: MessagesRules,
  tell: Tell,
): (string | null)[] {
  const { tools, reader } = rules;
  const refuse = (at: string, message: string, fix: string): void =>
    tell('tool-call', { path: at, message: `${reader} ${message}`, fix });
  if (tools === undefined) {
    refuse(path, 'knows no calls of tools', 'Remove the row, or write the calls as text.');
    return [];
  }
  if (!Array.isArray(value) || value.length === 0) {
    refuse(path, 'expects tool_calls to be an array of calls', 'Remove tool_calls where nothing is called.');
    return [];
  }
  return value.map((call: unknown, index) => {
    const at = below(path, index);
    if (!isObject(call)) {
      refuse(
        at,
        'expects a call to be an object',
        'Write {"id":…,"type":"function","function":{"name":…,"arguments":…}}.',
      );
      return null;
    }
    checkCall(call, at, tools, refuse);
    return typeof call['id'] === 'string' ? call['id'] : null;
  });
}

type Refuse = (at: string, message: string, fix: string) => void;

function checkCall(call: JsonObject, at: string, tools: ToolRules, refuse: Refuse): void {
  const { id, type, function: called } = call;
  if (tools.id !== null && (typeof id !== 'string' || !tools.id.test(id))) {
    const form = tools.id.source === '.' ? 'an id' : `an id that matches ${tools.id.source}`;
    refuse(
      below(at, 'id'),
      `expects a call to have ${form}`,
      'Give each call such an id, the same in the answer.',
    );
  }
  if (type !== 'function' && (tools.id !== null || type !== undefined)) {
    refuse(below(at, 'type'), 'expects the type of a call to be "function"', 'Write "type":"function".');
  }
  if (!isObject(called)) {
    refuse(
      below(at, 'function'),
      'expects a call to name its function',
      'Write "function":{"name":…,"arguments":…}.',
    );
    return;
  }
  const { name, arguments: given } = called;
  if (typeof name !== 'string' || !tools.name.test(name)) {
    refuse(
      `${at}.function.name`,
      `expects the name of a function to match ${tools.name.source}`,
      'Rename the function.',
    );
  }
  const wanted = argumentsProblem(given, tools.arguments);
  if (wanted !== null) {
    refuse(
      `${at}.function.arguments`,
      `expects arguments to be ${wanted}`,
      `Write the arguments as ${wanted}.`,
    );
  }
}

/** What the arguments should be, or null when they are that. */
function argumentsProblem(value: unknown, form: ToolRules['arguments']): string | null {
  if (form !== 'object' && typeof value === 'string' && parseJson(value) !== undefined) return null;
  if (form !== 'text' && isObject(value)) return null;
  return { text: 'a string of JSON', object: 'an object', either: 'an object or a string of JSON' }[form];
}

/** Checks the answer of a tool and returns the id of its call, or null where it has none. */
export function checkAnswer(
  message: JsonObject,
  path: string,
  rules: MessagesRules,
  tell: Tell,
): string | null {
  // The deprecated role `function` answers by name.
  const key = message['role'] === 'function' ? 'name' : 'tool_call_id';
  const value = message[key];
  if (typeof value === 'string' && value !== '') return key === 'name' ? null : value;
  if (rules.tools?.id !== null || value !== undefined) {
    tell('tool-answer', {
      path: below(path, key),
      message: `${rules.reader} expects a message of role ${message['role'] as string} to have ${key}`,
      fix: `Add ${key}, that of the call it answers.`,
    });
  }
  return null;
}

/** Checks the schemas of tools that a row brings with it. */
export function checkSchemas(value: unknown, path: string, rules: MessagesRules, tell: Tell): void {
  const { tools, reader } = rules;
  if (tools === undefined) return;
  const refuse = (at: string, what: string): void =>
    tell('tools', {
      path: at,
      message: `${reader} expects ${what}`,
      fix: 'Write "tools":[{"type":"function","function":{"name":…,"description":…,"parameters":{…}}}], or leave tools out.',
    });
  const schemas = tools.schemasAsText === true && typeof value === 'string' ? parseJson(value) : value;
  // A column of `datasets` holds null where a row has no value.
  if (schemas === null && tools.schemasAsText === true) return;
  if (!Array.isArray(schemas)) {
    refuse(path, 'tools to be an array');
    return;
  }
  for (const [index, schema] of schemas.entries()) {
    const at = below(path, index);
    const described: unknown =
      isObject(schema) && schema['type'] === 'function' ? schema['function'] : undefined;
    if (!isObject(described)) {
      refuse(at, 'a tool to be {"type":"function","function":{…}}');
      continue;
    }
    const { name, description, parameters } = described;
    if (typeof name !== 'string' || !tools.name.test(name)) {
      refuse(`${at}.function.name`, `the name of a function to match ${tools.name.source}`);
    }
    if (
      typeof description !== 'string' &&
      (description !== undefined || tools.schema.includes('description'))
    ) {
      refuse(`${at}.function.description`, 'the description of a function to be a string');
    }
    if (!isObject(parameters) && (parameters !== undefined || tools.schema.includes('parameters'))) {
      refuse(`${at}.function.parameters`, 'the parameters of a function to be a JSON schema');
    }
  }
}
