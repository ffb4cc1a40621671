import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RowTap } from '../../src/db/row-tap.js';

interface Message {
  readonly type: string;
  readonly body: Buffer;
}

function encode({ type, body }: Message): Buffer {
  const head = Buffer.alloc(5);
  head.write(type, 'latin1');
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

const text = fc.string({ maxLength: 40 }).map((value) => Buffer.from(value));
const row: fc.Arbitrary<Message> = text.map((value) => ({
  type: 'D',
  body: Buffer.concat([Buffer.from([0, 1]), value]),
}));
const done: Message = { type: 'C', body: Buffer.from('FETCH 1\0') };
const other: fc.Arbitrary<Message> = fc.record({
  type: fc.constantFrom('T', 'Z', 'N', 'S', '2'),
  body: text,
});
const statement = fc
  .tuple(
    fc.array(other, { maxLength: 2 }),
    fc.array(row, { maxLength: 6 }),
    fc.array(other, { maxLength: 2 }),
  )
  .map(([before, rows, after]) => ({ rows, messages: [...before, ...rows, done, ...after] }));

function feedInPieces(tap: RowTap, bytes: Buffer, cuts: readonly number[]): void {
  const places = [...new Set([0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].toSorted(
    (a, b) => a - b,
  );
  for (const [index, place] of places.entries()) {
    const next = places[index + 1];
    if (next !== undefined) tap.feed(Buffer.from(bytes.subarray(place, next)));
  }
}

describe('RowTap', () => {
  it('gives each statement its rows and the driver everything else, wherever the bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.array(statement, { maxLength: 5 }),
        fc.array(fc.nat(), { maxLength: 40 }),
        (statements, cuts) => {
          const forwarded: Buffer[] = [];
          const tap = new RowTap((bytes) => void forwarded.push(Buffer.from(bytes)));
          const messages = statements.flatMap((one) => one.messages);
          feedInPieces(tap, Buffer.concat(messages.map(encode)), cuts);
          for (const { rows } of statements) {
            const taken = tap.take().map(({ bytes, start, end }) => bytes.subarray(start, end));
            expect(taken).toEqual(rows.map(({ body }) => body.subarray(2)));
          }
          expect(tap.take()).toEqual([]);
          const rest = messages.filter(({ type }) => type !== 'D').map(encode);
          expect(Buffer.concat(forwarded)).toEqual(Buffer.concat(rest));
        },
      ),
      { numRuns: 500 },
    );
  });

  it('forgets the rows of a statement that failed', () => {
    const tap = new RowTap(() => undefined);
    const failed: Message = { type: 'E', body: Buffer.from('SERROR\0\0') };
    const one = { type: 'D', body: Buffer.from([0, 1, 65]) };
    const two = { type: 'D', body: Buffer.from([0, 1, 66]) };
    tap.feed(Buffer.concat([one, failed, two, done].map(encode)));
    expect(tap.take().map(({ bytes, start, end }) => bytes.toString('latin1', start, end))).toEqual(['B']);
    expect(tap.take()).toEqual([]);
  });

  it('hands over the beginning of a message when it ends', () => {
    const forwarded: Buffer[] = [];
    const tap = new RowTap((bytes) => void forwarded.push(Buffer.from(bytes)));
    const message = encode({ type: 'S', body: Buffer.from('TimeZone\0UTC\0') });
    tap.feed(message.subarray(0, 7));
    expect(forwarded).toEqual([]);
    tap.end();
    expect(Buffer.concat(forwarded)).toEqual(message.subarray(0, 7));
  });
});
