export function cliDocument(): Promise<string>;
export function formatsDocument(): Promise<string>;
