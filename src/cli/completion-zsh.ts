import { flagsWithValues, functionName, quoted, type Place, type Values } from './completion-place.js';

/** For zsh, as a file in a directory of `$fpath` and with `source` alike. */
export function zshScript(name: string, places: readonly Place[]): string {
  const run = functionName(name);
  return `#compdef ${name}
# Completion of ${name} for zsh.
${run}() {
  local at='' word previous=\${words[CURRENT-1]}
  local -a commands flags
  for word in "\${(@)words[2,CURRENT-1]}"; do
    case "$at/$word" in
      ${places
        .filter(({ path }) => path !== '')
        .map(({ path }) => quoted(path))
        .join('|')}) at="$at/$word" ;;
    esac
  done
  if [[ $PREFIX == --*=* ]]; then
    previous=\${PREFIX%%=*}
    compset -P '*='
  fi
  case "$at $previous" in
${flagsWithValues(places)
  .map(({ path, name, values }) => `    ${quoted(`${path} ${name}`)}) ${offer(values)}; return ;;`)
  .join('\n')}
  esac
  case "$at" in
${places.map(offerPlace).join('\n')}
  esac
}
if [[ $funcstack[1] == ${run} || $funcstack[1] == _${name} ]]; then
  ${run} "$@"
else
  compdef ${run} ${name}
fi
`;
}

function offer(values: Values): string {
  if (values === 'anything') return ':';
  return values === 'file' ? '_files' : `compadd -- ${values.words.map(quoted).join(' ')}`;
}

function offerPlace({ path, commands, flags, values }: Place): string {
  const described = flags.flatMap((flag) => flag.names.map((name) => entry(name, flag.description)));
  const hasOthers = commands.length > 0 || values !== 'anything';
  const others =
    commands.length > 0
      ? `commands=(${commands.map((command) => entry(command.name, command.description)).join(' ')}); _describe command commands`
      : offer(values);
  const names = `flags=(${described.join(' ')}); _describe -o flag flags`;
  return `    ${quoted(path)})
      ${hasOthers ? `if [[ $PREFIX != -* ]]; then ${others}; return; fi` : ':'}
      ${names} ;;`;
}

function entry(name: string, description: string): string {
  return quoted(`${name.replaceAll(':', '\\:')}:${description}`);
}
