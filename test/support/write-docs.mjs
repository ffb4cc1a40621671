/** Writes docs/cli.md anew from the help texts: `npm run docs`. A test compares. */
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

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await writeFile(new URL('docs/cli.md', root), await cliDocument());
}
