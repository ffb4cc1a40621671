/** Counts, by a reason in plain words, what an import defaulted, dropped or resolved. */
export class Notes {
  readonly #counts = new Map<string, number>();

  add(reason: string, times = 1): void {
    this.#counts.set(reason, (this.#counts.get(reason) ?? 0) + times);
  }

  toRecord(): Record<string, number> {
    return Object.fromEntries(this.#counts);
  }
}
