import type { Command } from 'commander';
import type { App } from '../app.js';

/** A command as the help of the program lists it; flags and examples are loaded when somebody names the command. */
export interface CommandEntry {
  readonly name: string;
  /** The words of the command itself; a test compares them. */
  readonly description: string;
  readonly load: () => Promise<(program: Command, app: App) => void>;
}

/** Every command, in the order of the help text. */
export const commands: readonly CommandEntry[] = [
  {
    name: 'export',
    description: 'export conversations to a file, a directory or standard output',
    load: async () => (await import('./export.js')).registerExport,
  },
  {
    name: 'status',
    description: 'show how an export stands, also one that runs elsewhere; status 0 whatever became of it',
    load: async () => (await import('./status.js')).registerStatus,
  },
  {
    name: 'history',
    description: 'list past exports, newest first; with an id, show one of them whole',
    load: async () => (await import('./history.js')).registerHistory,
  },
  {
    name: 'download',
    description:
      'copy the stored file of a completed export, its size and checksum verified; status 27 when it has none any more',
    load: async () => (await import('./download.js')).registerDownload,
  },
  {
    name: 'cleanup',
    description:
      'remove the files of expired exports; with --logs, archive and delete old rows of the audit log',
    load: async () => (await import('./cleanup.js')).registerCleanup,
  },
  {
    name: 'init',
    description: 'create the audit tables; in the embedded database the source tables too',
    load: async () => (await import('./init.js')).registerInit,
  },
  {
    name: 'config',
    description: 'show every setting, where it comes from, and the presets; no database is asked',
    load: async () => (await import('./config.js')).registerConfig,
  },
  {
    name: 'import',
    description: 'load conversations from JSONL files (gzip too) into a database; again changes nothing',
    load: async () => (await import('./import.js')).registerImport,
  },
  {
    name: 'validate',
    description:
      'check training files (gzip too), whoever wrote them; status 23 on errors, 29 on broken limits of a file',
    load: async () => (await import('./validate.js')).registerValidate,
  },
  {
    name: 'doctor',
    description: 'check database, rights, tables, indexes and export directory; say what mends them',
    load: async () => (await import('./doctor.js')).registerDoctor,
  },
  {
    name: 'worker',
    description: 'do queued exports, one after the other; run as many as you like, on any machine',
    load: async () => (await import('./worker.js')).registerWorker,
  },
  {
    name: 'completion',
    description: 'print a script that makes a shell complete commands, flags and their values',
    load: async () => (await import('./completion.js')).registerCompletion,
  },
];
