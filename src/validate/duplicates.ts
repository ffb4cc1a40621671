import { createHash } from 'node:crypto';
import type { Problem } from '../targets/target.js';
import { dialogueOf } from './dialogue.js';
import type { Locate } from './problem-log.js';

/** Slots of a table at most: 16 MiB each. What comes after three quarters of them is not compared with later rows. */
const MOST_SLOTS = 2 ** 20;
/** So many rows with the same answer are a pattern. */
const MANY = 10;

/** Notices rows that repeat others; memory is bounded, so in huge files only the first 786,432 are remembered. */
export function createDuplicates(locate: Locate): (row: unknown, line: number) => void {
  const rows = new Table();
  const questions = new Table();
  const answers = new Table();
  return (row, line) => {
    const said = dialogueOf(row);
    if (said.length === 0) return;
    const same = rows.enter(
      hashOf(said.map(({ role, text }) => `${role}\u0000${normalised(text)}`).join('\u0001')),
      line,
      0,
    );
    if (same !== null) {
      locate(
        warning(
          'duplicate-row',
          `says the same as line ${same.line}`,
          'Keep one of them: repeated rows weigh more in training.',
        ),
        line,
      );
      return;
    }
    const question = said.find(({ role }) => role === 'user');
    const reply = said.find(({ role }) => role === 'assistant');
    const answer = said.findLast(({ role }) => role === 'assistant');
    if (question === undefined || reply === undefined || answer === undefined) return;
    const asked = questions.enter(hashOf(normalised(question.text)), line, hashOf(normalised(reply.text)));
    if (asked !== null && asked.tag !== hashOf(normalised(reply.text))) {
      locate(
        warning(
          'same-question',
          `asks the same as line ${asked.line} and has another answer`,
          'Check which answer is meant; keep both only on purpose.',
        ),
        line,
      );
    }
    const given = answers.enter(hashOf(normalised(answer.text)), line, 0);
    if (given !== null && given.count === MANY) {
      locate(
        warning(
          'same-answer',
          `gives the same answer as ${MANY - 1} rows before, the first on line ${given.line}`,
          'Check that this is no stock answer that the model should not learn.',
        ),
        line,
      );
    }
  };
}

function warning(rule: string, message: string, fix: string): Problem {
  return { rule, path: '', severity: 'warning', message: `the row ${message}`, fix };
}

/** One space for each run of white space; single spaces, which most runs are, need no replacing. */
function normalised(text: string): string {
  return text.replaceAll(/[^\S ]\s*| \s+/g, ' ').trim();
}

/** 52 bits of a digest, which a number holds exactly; never 0, which marks an empty slot. */
function hashOf(text: string): number {
  const digest = createHash('sha256').update(text).digest();
  return digest.readUInt32LE(0) * 2 ** 20 + (digest.readUInt32LE(4) >>> 12) + 1;
}

interface Entry {
  /** Where the key was entered first. */
  readonly line: number;
  readonly tag: number;
  /** How often it was entered, this time included. */
  readonly count: number;
}

/** A hash table in typed arrays: a Map of as many numbers would take several times the memory. */
class Table {
  #keys = new Float64Array(1024);
  #tags = new Float64Array(1024);
  #lines = new Float64Array(1024);
  #counts = new Uint32Array(1024);
  #used = 0;

  /** The earlier entry of this key; null, and entered, when there is none. */
  enter(key: number, line: number, tag: number): Entry | null {
    const slot = this.#slotOf(key);
    if (this.#keys[slot] === key) {
      const count = (this.#counts[slot] as number) + 1;
      this.#counts[slot] = count;
      return { line: this.#lines[slot] as number, tag: this.#tags[slot] as number, count };
    }
    if (this.#used >= MOST_SLOTS * 0.75) return null;
    this.#keys[slot] = key;
    this.#tags[slot] = tag;
    this.#lines[slot] = line;
    this.#counts[slot] = 1;
    this.#used += 1;
    if (this.#used >= this.#keys.length * 0.75 && this.#keys.length < MOST_SLOTS) this.#grow();
    return null;
  }

  #slotOf(key: number): number {
    const { length } = this.#keys;
    let slot = key % length;
    while (this.#keys[slot] !== 0 && this.#keys[slot] !== key) slot = (slot + 1) % length;
    return slot;
  }

  #grow(): void {
    const [keys, tags, lines, counts] = [this.#keys, this.#tags, this.#lines, this.#counts];
    const length = keys.length * 2;
    this.#keys = new Float64Array(length);
    this.#tags = new Float64Array(length);
    this.#lines = new Float64Array(length);
    this.#counts = new Uint32Array(length);
    keys.forEach((key, from) => {
      if (key === 0) return;
      const slot = this.#slotOf(key);
      this.#keys[slot] = key;
      this.#tags[slot] = tags[from] as number;
      this.#lines[slot] = lines[from] as number;
      this.#counts[slot] = counts[from] as number;
    });
  }
}
