import { createRequire } from 'node:module';
import type * as Commander from 'commander';

/**
 * The parser of command lines, by `require`: it is CommonJS, and `import` reads all of it once more to find its names.
 * That took 4 ms of 13, and every help text waits for it.
 */
export const { Argument, Command, CommanderError, InvalidArgumentError, Option } = createRequire(
  import.meta.url,
)('commander') as typeof Commander;

export type Command = Commander.Command;
export type CommanderError = Commander.CommanderError;
export type Option = Commander.Option;
