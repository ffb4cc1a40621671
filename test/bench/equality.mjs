import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { isDeepStrictEqual } from 'node:util';

/** Compares two files of JSON lines by what they mean. Returns their lines; throws at the first that differs. */
export async function equalLines(one, other) {
  const lines = createInterface({ input: createReadStream(other), crlfDelay: 0 })[Symbol.asyncIterator]();
  let count = 0;
  for await (const line of createInterface({ input: createReadStream(one), crlfDelay: 0 })) {
    const { value } = await lines.next();
    count++;
    if (value === undefined || !isDeepStrictEqual(JSON.parse(line), JSON.parse(value))) {
      throw new Error(`${one} and ${other} differ in line ${count}`);
    }
  }
  if (!(await lines.next()).done) throw new Error(`${other} has more lines than ${one}`);
  return count;
}

/** Compares two CSV files byte by byte: PostgreSQL quotes as we do. */
export async function equalBytes(one, other) {
  const sum = async (file) => {
    const { createHash } = await import('node:crypto');
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(file)) hash.update(chunk);
    return hash.digest('hex');
  };
  if ((await sum(one)) !== (await sum(other))) throw new Error(`${one} and ${other} differ`);
}
