import { flagsWithValues, functionName, quoted, type Place, type Values } from './completion-place.js';

/** For bash 3.2 and later: macOS has no newer one. */
export function bashScript(name: string, places: readonly Place[]): string {
  const run = functionName(name);
  return `# Completion of ${name} for bash.
${run}() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} at='' word
  COMPREPLY=()
  # bash takes --flag=value for three words.
  if [[ $current == '=' ]]; then
    current=''
  elif [[ $previous == '=' ]]; then
    previous=\${COMP_WORDS[COMP_CWORD-2]}
  fi
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$at/$word" in
      ${paths(places)}) at="$at/$word" ;;
    esac
  done
  case "$at $previous" in
${flagsWithValues(places)
  .map(({ path, name, values }) => `    ${quoted(`${path} ${name}`)}) ${offer(run, values)}; return ;;`)
  .join('\n')}
  esac
  case "$at" in
${places.map((place) => `    ${quoted(place.path)}) ${offerPlace(run, place)} ;;`).join('\n')}
  esac
}
${run}_words() {
  COMPREPLY=($(compgen -W "$1" -- "$2"))
}
${run}_files() {
  local IFS=$'\\n'
  compopt -o filenames 2>/dev/null
  COMPREPLY=($(compgen -f -- "$1"))
}
complete -F ${run} ${name}
`;
}

function paths(places: readonly Place[]): string {
  return places
    .map(({ path }) => path)
    .filter((path) => path !== '')
    .map(quoted)
    .join('|');
}

function offer(run: string, values: Values): string {
  if (values === 'anything') return ':';
  return values === 'file' ? `${run}_files "$current"` : words(run, values.words);
}

/** Flags after a dash, and where there is nothing else to offer. */
function offerPlace(run: string, { commands, flags, values }: Place): string {
  const names = words(
    run,
    flags.flatMap((flag) => flag.names),
  );
  const children = commands.map((command) => command.name);
  const others =
    values === 'anything' && children.length === 0
      ? names
      : offer(run, children.length > 0 ? { words: children } : values);
  return others === names ? names : `if [[ $current == -* ]]; then ${names}; else ${others}; fi`;
}

/** `compgen -W` expands its words, so only such as have nothing to expand are offered. */
function words(run: string, list: readonly string[]): string {
  const plain = list.filter((word) => /^[\w@%+:,./-]+$/.test(word));
  return `${run}_words ${quoted(plain.join(' '))} "$current"`;
}
