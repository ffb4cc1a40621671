import type { Text } from './bytes/text.js';

/** `parameters.tools` of a conversation. */
export interface ToolSchemas {
  /** As services want them, `{"type":"function","function":{…}}`; empty where there are none. */
  readonly tools: readonly object[];
  /** There is something under that name, but it is no list of tool schemas. */
  readonly isMalformed: boolean;
}

const NONE: ToolSchemas = { tools: [], isMalformed: false };
const MALFORMED: ToolSchemas = { tools: [], isMalformed: true };

/** Reads the schemas, bare (`{"name",…}`) or wrapped; the rest of `parameters` is parsed only when they are mentioned. */
export function toolSchemasOf(parameters: Text | null): ToolSchemas {
  if (parameters === null || !parameters.bytes().includes('"tools"')) return NONE;
  let value: unknown;
  try {
    value = JSON.parse(parameters.toString());
  } catch {
    return MALFORMED;
  }
  const given = isObject(value) ? value['tools'] : undefined;
  if (given === undefined || given === null) return NONE;
  if (!Array.isArray(given)) return MALFORMED;
  const tools = given.map(wrapped);
  return tools.every((tool) => tool !== null) ? { tools, isMalformed: false } : MALFORMED;
}

function wrapped(tool: unknown): object | null {
  if (!isObject(tool)) return null;
  const bare = tool['type'] === 'function' && isObject(tool['function']) ? tool['function'] : tool;
  const { name, description, parameters } = bare;
  // The services' own rule for names (OpenAI's published schema).
  if (typeof name !== 'string' || !/^[A-Za-z0-9_-]{1,64}$/.test(name)) return null;
  if (description !== undefined && typeof description !== 'string') return null;
  if (parameters !== undefined && !isObject(parameters)) return null;
  return { type: 'function', function: bare };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
