/**
 * The known word that looks most like an unknown one, and how many letters differ.
 * @param known at least one word
 */
export function nearestWord(unknown: string, known: readonly string[]): { word: string; distance: number } {
  const ranked = known.map((word) => ({
    word,
    distance: editDistance(plain(unknown.slice(0, 60)), plain(word)),
  }));
  return ranked.reduce((best, next) => (next.distance < best.distance ? next : best));
}

/** `qualityScore`, `quality-score` and `quality_score` are the same word. */
function plain(key: string): string {
  return key.toLowerCase().replaceAll(/[^\p{L}\p{N}]/gu, '');
}

function editDistance(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const replaced = (previous[column - 1] ?? 0) + (from[row - 1] === to[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[to.length] ?? 0;
}
