import { createHash } from 'node:crypto';

/** Ours alone, drawn once at random; changing it would give every imported conversation a new primary key. */
const NAMESPACE = Buffer.from('5648f02afa0a4a9f81b461dc1412a213', 'hex');

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** True for any 8-4-4-4-12 UUID, whatever its version. */
export function isUuid(text: string): boolean {
  return UUID.test(text);
}

/** The version 5 UUID (RFC 9562, section 5.5) of a name in our namespace. */
export function nameUuid(name: string): string {
  const bytes = createHash('sha1').update(NAMESPACE).update(name).digest().subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x50, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** The `conversation_id` of a line that has none: the same text always gets the same one. */
export function contentKey(json: string, asUuid: boolean): string {
  const digest = createHash('sha256').update(json).digest('hex');
  return asUuid ? nameUuid(`line/${digest}`) : `line-${digest.slice(0, 32)}`;
}
