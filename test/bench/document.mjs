import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { judged, median } from './goals.mjs';
import { plot } from './plot.mjs';

const at = (name) => new URL(`../../docs/${name}`, import.meta.url);
const BEGIN = '<!-- results: written by `npm run bench -- --document` -->';
const END = '<!-- end of results -->';

/** Puts results into docs/performance.md and its plot. Sizes that were not run keep what the last run of them found. */
export async function document(latest) {
  const earlier = await readFile(at('performance.json'), 'utf8').then(JSON.parse, () => ({ results: [] }));
  const kept = earlier.results.filter(({ size }) => !latest.some((one) => one.size === size));
  const dated = latest.map((one) => ({ date: new Date().toISOString().slice(0, 10), ...one }));
  const results = [...kept, ...dated].toSorted((a, b) => a.size - b.size);
  const text = await readFile(at('performance.md'), 'utf8');
  const [before, after] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (before < 0 || after < 0) throw new Error('docs/performance.md has no place for results');
  const written = `${text.slice(0, before)}${BEGIN}\n\n${sections(results)}\n${text.slice(after)}`;
  await writeFile(at('performance.md'), written);
  await writeFile(at('performance.svg'), plot(results));
  await writeFile(at('performance.json'), JSON.stringify({ results: results.map(rounded) }));
  await promisify(execFile)('npx', ['oxfmt', fileURLToPath(at('performance.json'))]);
}

function sections(results) {
  const gigabytes = Math.round(totalmem() / 1e9);
  const machine = `${availableParallelism()} cores (${cpus()[0]?.model.trim() ?? 'unknown'}), ${gigabytes} GB, Node ${process.versions.node}`;
  return `Machine: ${machine}. The server runs on the same machine.

${table(['goal', 'at most', 'measured', ''], judged(results).map(goalRow))}
${results.map(sizeSection).join('\n')}`;
}

function goalRow({ what, most, measured }) {
  const verdict =
    measured === null ? 'not run' : most === null ? '' : measured <= most ? 'reached' : 'not reached';
  return [what, most ?? 'reported', measured === null ? '' : measured.toFixed(2), verdict];
}

function sizeSection({ size, rounds, load, rows, date, skipped }) {
  const busy = load === undefined ? '' : ` The load of the machine was ${load.toFixed(1)} at the start.`;
  const [first] = rows;
  const ratio = ({ runs }) => median(runs.map((run, round) => run.wall / first.runs[round].wall));
  const cells = rows.map((row) => [
    row.name.startsWith('jsonl') ? `**lora-export**, ${row.name}` : row.name,
    row.wall.toFixed(2),
    ratio(row).toFixed(2),
    row.cpu.toFixed(2),
    row.rss.toFixed(0),
    row.bytes === 0 ? '' : (row.bytes / 1e6 / row.wall).toFixed(0),
    ((1e6 * row.wall) / size).toFixed(0),
  ]);
  const head = ['', 'wall, s', 'ratio', 'CPU, s', 'peak, MB', 'MB/s', 'µs each'];
  const left = skipped.length === 0 ? '' : `\nNot run: ${skipped.join(', ')}.\n`;
  return `### ${size.toLocaleString('en')} conversations

${(rows[0].bytes / 1e6).toFixed(1)} MB of JSONL; medians of ${rounds} rounds, ${date}. The ratio is wall time against the first line.${busy}

${table(head, cells)}${left}`;
}

function table(head, rows) {
  const lines = [head, head.map(() => '---'), ...rows];
  return `${lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n')}\n`;
}

function rounded(result) {
  const round = (number) => Math.round(number * 1000) / 1000;
  const figures = ({ wall, cpu, rss }) => ({ wall: round(wall), cpu: round(cpu), rss: round(rss) });
  return {
    ...result,
    rows: result.rows.map((row) => ({ ...row, ...figures(row), runs: row.runs.map(figures) })),
  };
}
