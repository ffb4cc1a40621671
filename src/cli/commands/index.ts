import type { Command } from 'commander';
import type { App } from '../app.js';
import { registerCleanup } from './cleanup.js';
import { registerCompletion } from './completion.js';
import { registerConfig } from './config.js';
import { registerDoctor } from './doctor.js';
import { registerDownload } from './download.js';
import { registerExport } from './export.js';
import { registerHistory } from './history.js';
import { registerImport } from './import.js';
import { registerInit } from './init.js';
import { registerStatus } from './status.js';
import { registerValidate } from './validate.js';
import { registerWorker } from './worker.js';

/** Every command, in the order of the help text. Registering is cheap: what a command needs is loaded when it runs. */
export const commands: readonly ((program: Command, app: App) => void)[] = [
  registerExport,
  registerStatus,
  registerHistory,
  registerDownload,
  registerCleanup,
  registerInit,
  registerConfig,
  registerImport,
  registerValidate,
  registerDoctor,
  registerWorker,
  registerCompletion,
];
