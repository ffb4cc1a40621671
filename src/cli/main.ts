import { Command, CommanderError } from 'commander';
import { exitStatusOf, LoraExportError } from '../errors.js';
import { version } from '../version.js';
import { App } from './app.js';
import { commands } from './commands/index.js';
import type { Host } from './host.js';
import { Terminal } from './terminal.js';

/** How the parser ends a command line that asked for help or the version. */
const ANSWERED = new Set(['commander.help', 'commander.helpDisplayed', 'commander.version']);

/**
 * Runs one command line and returns its exit status; it never throws. Everything that can be thrown ends here, is told
 * once, and becomes a status.
 *
 * @param argv the words after the program's name
 */
export async function run(argv: readonly string[], host: Host): Promise<number> {
  const terminal = new Terminal(host);
  const program = createProgram(host, terminal, argv);
  try {
    refuseUnknownTopic(program, argv);
    if (argv.length === 0) await begin(program, host, terminal);
    else await program.parseAsync(argv, { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError && ANSWERED.has(error.code)) return 0;
    const told = host.signal.aborted
      ? host.signal.reason
      : error instanceof CommanderError
        ? usageError(error)
        : error;
    terminal.failure(told, { json: argv.includes('--json'), debug: argv.includes('--debug') });
    return exitStatusOf(told);
  } finally {
    await terminal.close();
  }
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

/** The whole command line: every command of the registry, and what they share. */
export function createProgram(host: Host, terminal: Terminal, argv: readonly string[]): Command {
  const program = new Command('lora-export')
    .description('Export approved conversations from PostgreSQL or Supabase into training files.')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand('help [command]', 'print help for a command')
    .configureHelp({ helpWidth: helpWidth(host), showGlobalOptions: false })
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
  for (const register of commands) register(program, app);
  return program;
}

/** The parser answers `help` for a command that does not exist with the general help, as if nothing were wrong. */
function refuseUnknownTopic(program: Command, [command, topic]: readonly string[]): void {
  if (command !== 'help' || topic === undefined || topic.startsWith('-')) return;
  const topics = ['help', ...program.commands.map((known) => known.name())];
  if (topics.includes(topic)) return;
  throw new LoraExportError('E_USAGE', withoutUrl(`unknown command '${topic}'`), {
    hint: `Commands: ${topics.join(', ')}.`,
  });
}

/** A word that was not understood may hold a database URL, and that a password: `--databse-url=postgres://…`. */
function withoutUrl(text: string): string {
  return text.replace(/[a-z][a-z0-9+.-]*:\/\/.*(?='|$)/is, '(a URL)');
}

/** `error: unknown option '--formt'\n(Did you mean --format?)` in our form. */
function usageError({ message }: CommanderError): LoraExportError {
  const [first = '', ...suggestion] = message.replace(/^error: /, '').split('\n');
  const what = withoutUrl(first);
  const hint = [...suggestion, 'See `lora-export help COMMAND`.'].join(' ');
  return new LoraExportError('E_USAGE', what, { hint });
}

function helpWidth({ stdout }: Host): number {
  return stdout.isTTY ? Math.min(Math.max(stdout.columns ?? 80, 60), 120) : 100;
}
