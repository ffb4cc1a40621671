import { LoraExportError } from '../errors.js';
import { run } from './main.js';

/** How long open handles may hold the process after its work is done. */
const BACKSTOP_MS = 5_000;

// Guilty until proven innocent: whatever ends this process early, a promise that never settles included, ends it badly.
process.exitCode = 1;

const controller = new AbortController();
const SIGNALS = { SIGINT: 'E_SIGINT', SIGTERM: 'E_SIGTERM', SIGHUP: 'E_SIGHUP' } as const;

for (const [name, code] of Object.entries(SIGNALS)) {
  process.on(name, () => {
    const error = new LoraExportError(code, `cancelled by ${name}`);
    // The second signal exits at once; recovery closes what is left.
    if (controller.signal.aborted) process.exit(error.exitStatus);
    controller.abort(error);
  });
}

// The driver can throw outside every promise when a connection dies; that must end the run, never be swallowed.
let fatal: unknown;
for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
  process.on(event, (error: unknown) => {
    fatal ??= error;
    controller.abort(error);
  });
}

const { stdout, stderr, env, platform } = process;
const status = await run(process.argv.slice(2), {
  // Node opens a stream when it is first asked for.
  get stdin() {
    return process.stdin;
  },
  stdout,
  stderr,
  env,
  cwd: process.cwd(),
  platform,
  uid: process.getuid?.() ?? null,
  signal: controller.signal,
});

// The loop drains by itself, so that no pending output is cut off; only something stuck is cut short.
setTimeout(() => process.exit(), BACKSTOP_MS).unref();
process.exitCode = fatal !== undefined && status === 0 ? 1 : status;
