import { exitStatusOf } from '../errors.js';
import { version } from '../version.js';
import type { Host } from './host.js';
import { Terminal } from './terminal.js';

/**
 * Runs one command line and returns its exit status; it never throws. Everything that can be thrown ends here, is told
 * once, and becomes a status.
 *
 * @param argv the words after the program's name
 */
export async function run(argv: readonly string[], host: Host): Promise<number> {
  const terminal = new Terminal(host);
  try {
    if (asksForVersion(argv)) {
      terminal.data(`${version}\n`);
    } else {
      const { runProgram } = await import('./program.js');
      await runProgram(argv, host, terminal);
    }
    return 0;
  } catch (error) {
    const told: unknown = host.signal.aborted ? host.signal.reason : error;
    terminal.failure(told, { json: argv.includes('--json'), debug: argv.includes('--debug') });
    return exitStatusOf(told);
  } finally {
    await terminal.close();
  }
}

/** Scripts ask this often, and it needs no parser: loading that takes a third of the time. */
function asksForVersion([word, ...more]: readonly string[]): boolean {
  return more.length === 0 && (word === '--version' || word === '-V');
}
