import { LoraExportError } from '../errors.js';
import { visible } from '../visible.js';

const EXPLANATIONS: Record<string, readonly [what: string, hint: string]> = {
  ENOSPC: ['there is no space left on the device', 'Free some space, or write elsewhere with --output.'],
  EDQUOT: ['the disk quota is used up', 'Free some space, or write elsewhere with --output.'],
  EROFS: ['the file system is read-only', 'Write elsewhere with --output.'],
  EACCES: ['permission denied', 'Choose a directory that you may write to with --output.'],
  EPERM: ['the operation is not permitted', 'Choose a directory that you may write to with --output.'],
  EFBIG: [
    'the file would exceed the size limit of this process or file system',
    'Raise the limit (ulimit -f), or use --gzip.',
  ],
  EIO: [
    'the device reported an I/O error',
    'Check the disk before trying again; write elsewhere with --output.',
  ],
  ENOENT: ['the directory does not exist', 'Create it first, or write elsewhere with --output.'],
  ENOTDIR: ['a part of the path is not a directory', 'Check the path given with --output.'],
  EMFILE: ['this process may not open more files', 'Raise the limit (ulimit -n).'],
  ENAMETOOLONG: ['the name is too long', 'Choose a shorter one with --output.'],
};

/** An I/O failure of the output in the user's terms; errors of ours pass through. */
export function outputError(error: unknown, location: string): LoraExportError {
  if (error instanceof LoraExportError) return error;
  const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
  if (code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED' || code === 'ERR_STREAM_WRITE_AFTER_END') {
    return new LoraExportError('E_CONSUMER_CLOSED', 'The reader closed the output early.', { cause: error });
  }
  const [what, hint] = EXPLANATIONS[code] ?? [
    `the system reported ${code}`,
    'Write elsewhere with --output.',
  ];
  return new LoraExportError('E_OUTPUT', `Cannot write ${visible(location)}: ${what}.`, {
    hint,
    cause: error,
  });
}
