import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createProgram } from '../../src/cli/program.js';
import { commands } from '../../src/cli/commands/index.js';
import { Terminal } from '../../src/cli/terminal.js';
import { makeSandbox } from '../support/cli.js';
import { createDatabase } from '../support/database.js';
import { addConversation } from '../support/export.js';

const HOOK = join(import.meta.dirname, 'modules-hook.mjs');
