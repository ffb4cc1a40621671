import type { Argument, Command, Option } from 'commander';
import { bashScript } from './completion-bash.js';
import { fishScript } from './completion-fish.js';
import { zshScript } from './completion-zsh.js';
import type { Flag, Place, Values } from './completion-place.js';

const writers = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
} satisfies Record<string, (name: string, places: readonly Place[]) => string>;
export type Shell = keyof typeof writers;

/**
 * A script that completes the command line of a program. It is made of what the program's own parser knows, so that
 * nothing has to be kept up to date beside it.
 */
export function completionScript(shell: Shell, program: Command): string {
  return writers[shell](program.name(), flattened(placeOf(program, '')));
}

function flattened(place: Place): Place[] {
  return [place, ...place.commands.flatMap(flattened)];
}

function placeOf(command: Command, path: string): Place {
  const help = command.createHelp();
  const children = help.visibleCommands(command);
  const commands = children.map((child) => placeOf(child, `${path}/${child.name()}`));
  // The parser makes the command `help` itself, and gives its argument no choices.
  const names = { words: children.map((child) => child.name()) };
  return {
    path,
    name: command.name(),
    description: command.description(),
    commands: commands.map((place, index) =>
      command.commands.includes(children[index] as Command) ? place : { ...place, values: names },
    ),
    flags: help.visibleOptions(command).map(flagOf),
    values: valuesOf(command.registeredArguments),
  };
}

function flagOf(option: Option): Flag {
  const names = [option.short, option.long].filter((name) => typeof name === 'string');
  return { names, description: option.description, values: option.required ? valueOf(option) : null };
}

function valuesOf(args: readonly Argument[]): Values {
  const values = args.map((argument) => valueOf({ argChoices: argument.argChoices, flags: argument.name() }));
  return values.find((value) => value !== 'anything') ?? 'anything';
}

function valueOf({ argChoices, flags }: { argChoices?: string[] | undefined; flags: string }): Values {
  if (argChoices !== undefined) return { words: argChoices };
  return /\b(file|path|directory|dir)\b[^<]*$/.test(flags) ? 'file' : 'anything';
}
