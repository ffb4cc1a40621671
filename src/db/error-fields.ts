/** A field of something that was thrown, or undefined. */
export function fieldOf(error: unknown, name: string): unknown {
  return typeof error === 'object' && error !== null ? (Reflect.get(error, name) as unknown) : undefined;
}

/** A field of something that was thrown, where that is a string. */
export function textFieldOf(error: unknown, name: string): string | undefined {
  const value = fieldOf(error, name);
  return typeof value === 'string' ? value : undefined;
}

/** Only errors of a server have one, in English. Poolers send what older servers did: the localised field alone. */
export function severityOf(error: unknown): string | undefined {
  return textFieldOf(error, 'severity') ?? textFieldOf(error, 'severity_local');
}
