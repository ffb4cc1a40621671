import { LoraExportError } from '../errors.js';
import { version } from '../version.js';
import { App } from './app.js';
import { commands } from './commands/index.js';
import type { Host } from './host.js';
import { Command, CommanderError } from './parser.js';
import { quoted } from './quoted.js';
import type { Terminal } from './terminal.js';

/** How the parser ends a command line that asked for help or the version. */
const ANSWERED = new Set(['commander.help', 'commander.helpDisplayed', 'commander.version']);

/**
 * Parses one command line and does what it says.
 * @throws LoraExportError `E_USAGE` for one that cannot be understood, else whatever the command throws
 */
export async function runProgram(argv: readonly string[], host: Host, terminal: Terminal): Promise<void> {
  const program = await createProgram(host, terminal, argv, isNamedBy(argv));
  refuseUnknownTopic(program, argv);
  if (argv.length === 0) return begin(program, host, terminal);
  await program.parseAsync(argv, { from: 'user' }).catch((error: unknown) => {
    if (!(error instanceof CommanderError)) throw error;
    if (!ANSWERED.has(error.code)) throw usageError(error);
  });
}

/**
 * Without a command: on a terminal the wizard.
 * @throws LoraExportError `E_USAGE` elsewhere, after the help
 */
async function begin(program: Command, host: Host, terminal: Terminal): Promise<void> {
  const { stdin, stderr, env } = host;
  if (stdin.isTTY !== true || stderr.isTTY !== true || env['TERM'] === 'dumb') {
    terminal.line(program.helpInformation());
    throw new LoraExportError(
      'E_USAGE',
      'Without a terminal to ask questions on, flags say what to export.',
      {
        hint: 'For example: lora-export export --format jsonl --scope approved --output FILE. See `lora-export help export`.',
      },
    );
  }
  const { runWizard } = await import('./run-wizard.js');
  await runWizard(new App(host, terminal, []));
}

/** The commands that a command line needs whole: the one named first, or asked about; for completion, all. */
function isNamedBy([first, second]: readonly string[]): (name: string) => boolean {
  const named = first === 'help' ? second : first;
  return (name) => name === named || named === 'completion';
}

/**
 * The command line: every command of the registry, and what they share. A command that is not needed whole has its name
 * and description only.
 */
export async function createProgram(
  host: Host,
  terminal: Terminal,
  argv: readonly string[],
  isNeeded: (name: string) => boolean = () => true,
): Promise<Command> {
  const program = new Command('lora-export')
    .description('Export approved conversations from PostgreSQL or Supabase into training files.')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand('help [command]', 'print help for a command')
    .configureHelp({
      helpWidth: helpWidth(host),
      showGlobalOptions: false,
      // The list has names only: arguments are known of commands that were loaded.
      subcommandTerm: (command) => command.name(),
    })
    .configureOutput({
      writeOut: (text) => terminal.data(text),
      // Errors are thrown as well, and told once, in `run`.
      writeErr: () => undefined,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .exitOverride()
    .enablePositionalOptions();
  program.addHelpText('after', '\nWithout a command, on a terminal, questions lead to an export.');
  const app = new App(host, terminal, argv);
  for (const { name, description, load } of commands) {
    if (isNeeded(name)) (await load())(program, app);
    else program.command(name).description(description);
  }
  return program;
}

/** The parser answers `help` for a command that does not exist with the general help, as if nothing were wrong. */
function refuseUnknownTopic(program: Command, [command, topic]: readonly string[]): void {
  if (command !== 'help' || topic === undefined || topic.startsWith('-')) return;
  const topics = ['help', ...program.commands.map((known) => known.name())];
  if (topics.includes(topic)) return;
  throw new LoraExportError('E_USAGE', `unknown command '${quoted(topic)}'`, {
    hint: `Commands: ${topics.join(', ')}.`,
  });
}

/** The parser's words around what was typed, which may hold anything, quotation marks included. */
const TYPED =
  /^(unknown (?:option|command) '|option '[^']*' argument '|command-argument value ')(.*)('(?: is invalid(?: for argument '[^']*')?\. .*)?)$/s;

/** `error: unknown option '--formt'\n(Did you mean --format?)` in our form. */
function usageError({ message }: CommanderError): LoraExportError {
  const [, said = '', suggestion] = /^(?:error: )?(.*?)(?:\n(\(Did you mean [^\n]*))?$/s.exec(message) ?? [];
  const what = said.replace(TYPED, (_, before: string, word: string, after: string) =>
    [before, quoted(word), after].join(''),
  );
  const hint = [...(suggestion === undefined ? [] : [suggestion]), 'See `lora-export help COMMAND`.'].join(
    ' ',
  );
  return new LoraExportError('E_USAGE', what, { hint });
}

function helpWidth({ stdout }: Host): number {
  return stdout.isTTY ? Math.min(Math.max(stdout.columns ?? 80, 60), 120) : 100;
}
