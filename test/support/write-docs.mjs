/** Writes docs/cli.md and docs/formats.md anew, from the program itself: `npm run docs`. A test compares. */
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = new URL('../../', import.meta.url);

/** Everything that `lora-export --help` and `lora-export help COMMAND` print, as one document. */
export async function cliDocument() {
  const overview = await help('--help');
  const commands = overview.slice(overview.indexOf('Commands:'));
  const names = [...commands.matchAll(/^ {2}([a-z]+) /gm)]
    .map(([, name]) => name)
    .filter((name) => name !== 'help');
  const sections = await Promise.all(names.map(async (name) => section(name, await help('help', name))));
  return [
    '# Command line\n\nThe help texts of `lora-export`, word for word (`npm run docs`).\n',
    section('lora-export', overview),
    ...sections,
  ].join('\n');
}

function section(title, text) {
  return `## ${title}\n\n\`\`\`text\n${text.trimEnd()}\n\`\`\`\n`;
}

async function help(...words) {
  const command = fileURLToPath(new URL('bin/lora-export.js', root));
  const { stdout } = await promisify(execFile)('node', [command, ...words]);
  return stdout;
}

/** Every format and target with what it writes of one conversation, and every rule with what is done about it. */
export async function formatsDocument() {
  const { formats } = await load('formats/index.js');
  const { targets } = await load('targets/all.js');
  const parts = [FORMATS_INTRODUCTION];
  for (const [name, { extension, mediaType, load: loadFormat }] of Object.entries(formats)) {
    const { summary } = await loadFormat();
    const example = await exampleOf({ format: name });
    parts.push(
      `### ${name}`,
      `${capital(summary)}. Extension \`.${extension}\`, media type \`${mediaType}\`.`,
      fence(example, extension),
    );
  }
  parts.push('## Targets', TARGETS_INTRODUCTION);
  for (const [name, target] of Object.entries(targets)) {
    parts.push(
      `### ${name}`,
      `${capital(target.summary)}. ${limitsOf(target.limits)}Rules as of ${target.asOf}; sources: ${target.sources.join('; ')}.`,
    );
    const shapes = [...Object.keys(target.shapes), ...Object.keys(target.preferences ?? {})];
    for (const shape of shapes) {
      if (shapes.length > 1) parts.push(`Shape \`${shape}\`${shape === shapes[0] ? ' (default)' : ''}:`);
      parts.push(fence(await exampleOf({ target: name, shape }), 'json'));
    }
  }
  parts.push('## Imperfect conversations', RULES_INTRODUCTION, await rulesTable());
  return `${parts.join('\n\n')}\n`;
}

const FORMATS_INTRODUCTION = `# Formats and targets

Every example here was written by the program (\`npm run docs\`), of the same conversation; a test keeps them so.

## Formats`;

const TARGETS_INTRODUCTION = `\`--target NAME\` writes what a service or trainer reads, and nothing else. Rows that break its rules are repaired or
left out before they are written, each counted and listed; the bytes written are checked as \`lora-export validate\` checks
any file. A file that breaks a rule as a whole, such as too few rows, is written all the same, and the status is 29.

Preference targets pair an approved conversation with each rejected one of its family (the same parent, or one the parent
of the other) whose turns before the last answer are the same, byte for byte. Equal answers make no pair.`;

const RULES_INTRODUCTION = `What is done about each rule, without and with a target; \`--on RULE=ACTION\` changes it. \`keep\` writes the
conversation as it is and lists it, \`repair\` puts it right and lists it, \`skip\` leaves it out and lists it, \`fail\` fails the
run at its end. A target may differ: \`openai\` and \`bedrock-claude\` skip reserved text.`;

async function rulesTable() {
  const { RULES, allowedActions, ruleNames } = await load('judging/rules.js');
  const rows = ruleNames.map((rule) => {
    const { means, repair = '', plain, strict } = RULES[rule];
    return `| \`${rule}\` | ${means} | ${plain} | ${strict} | ${repair} | ${allowedActions(rule).join(', ')} |`;
  });
  return [
    '| rule | the conversation … | without target | with target | repair | allowed |',
    '| --- | --- | --- | --- | --- | --- |',
    ...rows,
  ].join('\n');
}

function limitsOf({ minRows, maxRows, maxBytes, maxTokens }) {
  const said = [
    minRows === undefined ? null : `at least ${minRows} rows`,
    maxRows === undefined ? null : `at most ${maxRows} rows`,
    maxBytes === undefined ? null : `at most ${maxBytes} bytes`,
    maxTokens === undefined ? null : `${maxTokens} tokens a row`,
  ].filter((part) => part !== null);
  return said.length === 0 ? '' : `Limits: ${said.join(', ')}. `;
}

/** What the program writes of the example, through the very code of an export. */
async function exampleOf(request) {
  const { recipeOf } = await load('recipe.js');
  const { parseRequest } = await load('request.js');
  const { ByteWriter } = await load('bytes/byte-writer.js');
  const recipe = await recipeOf(parseRequest(request));
  const writer = recipe.begin('2025-10-29T10:00:00.000Z');
  writer.counterparts?.(await conversation('The ticket says 2 percent; ask somebody else.', 'rejected'));
  const { conversation: judged } = writer.judge(
    await conversation('That is the interest a month. Shall we look at what it costs in a year?', 'approved'),
  );
  const body = new ByteWriter();
  const rows = writer.rows(judged, body);
  const out = new ByteWriter();
  writer.start(out, rows);
  out.bytes(body.view());
  writer.finish(out);
  return out
    .view()
    .toString('utf8')
    .replace(/^\u{feff}/u, '');
}

async function conversation(answer, status) {
  const { Text } = await load('bytes/text.js');
  const text = (value) => Text.of(value);
  const turns = [
    ['system', 'You are a calm money coach.'],
    ['user', 'My card says 2 % – is that a lot?'],
    ['assistant', answer],
  ];
  return {
    id:
      status === 'approved' ? '0b8f5c1e-6a3d-4c55-9a0e-2f6f1f0a7c11' : '5d2c9a77-1f0b-4f0e-8f63-9b1f6f0d2e42',
    conversationId: text(`fp_example_${status}`),
    title: text('Two percent'),
    status: text(status),
    tier: text('template'),
    persona: text('Anxious Planner'),
    emotion: text('anxiety'),
    topic: text('credit cards'),
    qualityScore: text('8.5'),
    totalTurns: text('3'),
    totalTokens: text('40'),
    parentId: text('7c1d2e3f-4a5b-4c6d-8e7f-901a2b3c4d5e'),
    parentType: text('template'),
    createdAt: text('2025-10-01T08:00:00.000Z'),
    updatedAt: text('2025-10-02T09:30:00.000Z'),
    category: text('["debt"]'),
    parameters: null,
    reviewHistory: null,
    turnTokens: null,
    turns: turns.map(([role, content], index) => ({ number: index + 1, role, content: text(content) })),
  };
}

function fence(text, language) {
  return `\`\`\`\`${language === 'md' ? 'markdown' : language}\n${text.trimEnd()}\n\`\`\`\``;
}

function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function load(module) {
  return import(new URL(`dist/${module}`, root).href);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await writeFile(new URL('docs/cli.md', root), await cliDocument());
  await writeFile(new URL('docs/formats.md', root), await formatsDocument());
}
