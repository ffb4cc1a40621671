/** One metric family as a scraper reads it. */
export interface ParsedFamily {
  readonly type: string;
  readonly help: string;
  readonly samples: Record<string, number>;
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const LABEL = String.raw`[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"`;
const SAMPLE = new RegExp(`^(${NAME})(?:\\{(${LABEL}(?:,${LABEL})*)\\})? (NaN|[+-]Inf|[-+]?\\d\\S*)$`);

/**
 * Reads the text format, version 0.0.4, as its description has it and as the textfile collector insists: HELP and TYPE
 * once and before the samples, families in one piece, no sample twice, no timestamps, a line feed at the end.
 */
export function parsePrometheus(text: string): Record<string, ParsedFamily> {
  if (!text.endsWith('\n')) throw new Error('no line feed at the end');
  const families: Record<string, { type: string; help: string; samples: Record<string, number> }> = {};
  let current = '';
  for (const line of text.slice(0, -1).split('\n')) {
    const [, help, helpText] = new RegExp(`^# HELP (${NAME}) ((?:[^\\\\]|\\\\[\\\\n])*)$`).exec(line) ?? [];
    const [, type, kind] = new RegExp(`^# TYPE (${NAME}) (counter|gauge|summary)$`).exec(line) ?? [];
    if (help !== undefined) {
      if (help in families) throw new Error(`${help} comes in two pieces`);
      families[help] = { type: '', help: helpText ?? '', samples: {} };
      current = help;
      continue;
    }
    const family = families[current];
    if (family === undefined) throw new Error(`before any HELP: ${line}`);
    if (type !== undefined) {
      if (type !== current || family.type !== '' || Object.keys(family.samples).length > 0)
        throw new Error(`out of place: ${line}`);
      family.type = kind ?? '';
      continue;
    }
    const [, name = '', labels = '', value = ''] = SAMPLE.exec(line) ?? [];
    const suffixes = family.type === 'summary' ? ['', '_sum', '_count'] : [''];
    if (!suffixes.some((suffix) => name === current + suffix)) throw new Error(`not a sample: ${line}`);
    if (family.type === 'counter' && !(name.endsWith('_total') && Number(value) >= 0))
      throw new Error(`not a counter: ${line}`);
    const key = `${name.slice(current.length)}{${labels}}`;
    if (key in family.samples) throw new Error(`twice: ${line}`);
    family.samples[key] = Number(value.replace('Inf', 'Infinity'));
  }
  return families;
}
