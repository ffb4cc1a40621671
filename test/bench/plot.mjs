/** Wall time against the number of conversations, both logarithmic, as an SVG that stands on any background. */
export function plot(results) {
  const names = ['jsonl', 'psql json', 'plain cursor', 'pg-query-stream', 'psycopg2', 'load everything'];
  const colours = ['#2563eb', '#64748b', '#d97706', '#dc2626', '#7c3aed', '#059669'];
  const [width, height, left, bottom, top, right] = [720, 420, 70, 50, 24, 150];
  const points = (name) =>
    results.flatMap(({ size, rows }) => {
      const row = rows.find((one) => one.name === name);
      return row === undefined ? [] : [[size, row.wall]];
    });
  const all = names.flatMap(points);
  const logs = (index) => all.map((point) => Math.log10(point[index]));
  const [x0, x1] = [Math.min(...logs(0)), Math.max(...logs(0), Math.min(...logs(0)) + 1)];
  const [y0, y1] = [Math.floor(Math.min(...logs(1))), Math.ceil(Math.max(...logs(1)))];
  const x = (size) => left + ((Math.log10(size) - x0) / (x1 - x0)) * (width - left - right);
  const y = (wall) => height - bottom - ((Math.log10(wall) - y0) / (y1 - y0)) * (height - bottom - top);
  const text = (at, content, more = '') =>
    `<text x="${at[0].toFixed(1)}" y="${at[1].toFixed(1)}" ${more}>${content}</text>`;
  const grid = [];
  for (let power = y0; power <= y1; power++) {
    const at = y(10 ** power);
    grid.push(`<path d="M${left} ${at.toFixed(1)}H${width - right}" stroke="#94a3b8" stroke-opacity=".4"/>`);
    grid.push(text([left - 8, at + 4], `${10 ** power} s`, 'text-anchor="end"'));
  }
  for (const { size } of results) {
    grid.push(text([x(size), height - bottom + 20], size.toLocaleString('en'), 'text-anchor="middle"'));
  }
  grid.push(text([left + (width - left - right) / 2, height - 10], 'conversations', 'text-anchor="middle"'));
  let lowest = Infinity;
  const labels = names
    .flatMap((name, index) => {
      const last = points(name).at(-1);
      return last === undefined ? [] : [{ name, index, at: [x(last[0]) + 8, y(last[1]) + 4] }];
    })
    .toSorted((a, b) => b.at[1] - a.at[1])
    .map(({ name, index, at }) => {
      lowest = Math.min(at[1], lowest - 15);
      return text([at[0], lowest], name === 'jsonl' ? 'lora-export' : name, `fill="${colours[index]}"`);
    });
  const lines = names.flatMap((name, index) => {
    const line = points(name).map(([size, wall]) => `${x(size).toFixed(1)},${y(wall).toFixed(1)}`);
    if (line.length === 0) return [];
    const dots = line.map((point) => {
      const [cx, cy] = point.split(',');
      return `<circle cx="${cx}" cy="${cy}" r="3" fill="${colours[index]}"/>`;
    });
    return [
      `<polyline points="${line.join(' ')}" fill="none" stroke="${colours[index]}" stroke-width="2"/>`,
      ...dots,
    ];
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12" fill="#64748b">
<title>Wall time of whole processes, by number of conversations</title>
${[...grid, ...lines, ...labels].join('\n')}
</svg>
`;
}
