import { functionName, type Flag, type Place, type Values } from './completion-place.js';

/** For fish 3 and later. */
export function fishScript(name: string, places: readonly Place[]): string {
  const at = `_${functionName(name)}_at`;
  return `# Completion of ${name} for fish.
function ${at}
    set -l at ''
    set -l words (commandline -opc)
    set -e words[1]
    for word in $words
        switch "$at/$word"
            case ${places
              .filter(({ path }) => path !== '')
              .map(({ path }) => quoted(path))
              .join(' ')}
                set at "$at/$word"
        end
    end
    test "$at" = "$argv[1]"
end
complete -c ${name} -f
${places
  .flatMap((place) => linesOf(place))
  .map(({ path, rest }) => `complete -c ${name} -n ${quoted(`${at} ${quoted(path)}`)} ${rest}`)
  .join('\n')}
`;
}

function linesOf({ path, commands, flags, values }: Place): { path: string; rest: string }[] {
  return [
    ...commands.map(({ name, description }) => `-a ${quoted(name)} -d ${quoted(description)}`),
    ...argumentsOf(values),
    ...flags.map(offerFlag),
  ].map((rest) => ({ path, rest }));
}

function offerFlag({ names, description, values }: Flag): string {
  const spelled = names.map((name) =>
    name.startsWith('--') ? `-l ${quoted(name.slice(2))}` : `-s ${quoted(name.slice(1))}`,
  );
  const value = values === null ? [] : values === 'file' ? ['-r -F'] : ['-x', ...argumentsOf(values)];
  return [...spelled, ...value, '-d', quoted(description)].join(' ');
}

function argumentsOf(values: Values): string[] {
  if (values === 'anything') return [];
  return [values === 'file' ? '-F' : `-a ${quoted(values.words.join(' '))}`];
}

/** fish reads a backslash in single quotes, unlike the others. */
function quoted(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`;
}
