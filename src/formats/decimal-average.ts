import type { Text } from '../bytes/text.js';

const DECIMAL = /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/i;
/** Beyond the range of a double; such an exponent would make the exact sum unreasonably long. */
const GREATEST_EXPONENT = 400;

/** An average of decimal numbers without any binary rounding: 8.1 and 8.2 make 8.15, never 8.149999. */
export class DecimalAverage {
  #sum = 0n;
  /** Digits behind the point in `#sum`. */
  #scale = 0;
  #count = 0;

  /** Takes a JSON number into account; text that is none, or is beyond the range of a double, is left out. */
  add(number: Text): void {
    const [, sign, whole = '', fraction = '', exponent = '0'] = DECIMAL.exec(number.toString()) ?? [];
    if (sign === undefined || Math.abs(Number(exponent)) > GREATEST_EXPONENT) return;
    let value = BigInt(`${sign}${whole}${fraction}`);
    let scale = fraction.length - Number(exponent);
    if (scale < 0) {
      value *= 10n ** BigInt(-scale);
      scale = 0;
    }
    if (scale > this.#scale) {
      this.#sum *= 10n ** BigInt(scale - this.#scale);
      this.#scale = scale;
    }
    this.#sum += value * 10n ** BigInt(this.#scale - scale);
    this.#count++;
  }

  /** The average as a JSON number with at most two decimals, halves rounded away from zero; null of nothing. */
  toJson(): string | null {
    if (this.#count === 0) return null;
    const divisor = BigInt(this.#count) * 10n ** BigInt(this.#scale);
    const magnitude = this.#sum < 0n ? -this.#sum : this.#sum;
    const hundredths = (magnitude * 200n + divisor) / (divisor * 2n);
    const sign = this.#sum < 0n && hundredths > 0n ? '-' : '';
    const decimals = String(hundredths % 100n)
      .padStart(2, '0')
      .replace(/0+$/, '');
    return `${sign}${hundredths / 100n}${decimals === '' ? '' : `.${decimals}`}`;
  }
}
