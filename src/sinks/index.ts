import type { OutputRequest } from '../request.js';
import { prepareFile, prepareInDirectory, prepareManaged } from './file.js';
import type { Destination, DestinationContext } from './sink.js';
import { prepareStream } from './stream.js';

/**
 * Checks an output before anything is asked of the database, without creating more than the managed directory.
 * @throws LoraExportError `E_USAGE`, `E_OUTPUT` or `E_OUTPUT_EXISTS`
 */
export async function prepareDestination(
  output: OutputRequest,
  context: DestinationContext,
): Promise<Destination> {
  switch (output.kind) {
    case 'stream':
      return prepareStream(context);
    case 'managed':
      return prepareManaged(output.directory, context);
    case 'directory':
      return prepareInDirectory(output.path, context);
    case 'file':
      return prepareFile(output.path, context);
  }
}
