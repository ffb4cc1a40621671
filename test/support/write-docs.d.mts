export function cliDocument(): Promise<string>;
