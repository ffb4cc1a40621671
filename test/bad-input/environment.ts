import { AN_ID, variableValues, type BadInput } from './case.js';
import { NO_UUIDS } from './values.js';

/** Commands that need a database; `config` only shows what it would use. */
function url(value: string, why: string, ...says: string[]): BadInput {
  return { args: ['history'], env: { DATABASE_URL: value }, why, says: ['DATABASE_URL', ...says] };
}

const urls: BadInput[] = [
  url('"postgres://u@h/d"', 'quotation marks that a .env file kept', 'quotation marks'),
  url("'postgres://u@h/d'", 'quotation marks that a .env file kept', 'quotation marks'),
  url('“postgres://u@h/d”', 'quotation marks of a word processor', 'quotation marks'),
  url(' ', 'nothing but a space', 'empty'),
  url('localhost:5432/x', 'no scheme', 'postgres://'),
  url('h', 'a host alone', 'postgres://'),
  url('mysql://u@h/d', 'another database', 'PostgreSQL'),
  url('https://abc.supabase.co', 'the address of the project', 'Supabase'),
  url('https://example.org/', 'a web address', 'web address'),
  url('jdbc:postgresql://h/d', 'for Java', 'JDBC'),
  url('postgresql+psycopg://u@h/d', 'for Python', 'driver'),
  url('prisma+postgres://h/?api_key=x', 'for Prisma', 'Prisma'),
  url('DATABASE_URL=postgres://u@h/d', 'the name of the variable too', 'name of a variable'),
  url('psql postgres://u@h/d', 'a command', 'command'),
  url('postgres:/u@h/d', 'a slash is missing', '//'),
  url('postgres://u@h:99999/d', 'no port', '65535'),
  url('postgres://u@h:0/d', 'no port', '65535'),
  url('postgres://u@h:54e2/d', 'no number', 'number as its port'),
  url('postgres://u@h:-1/d', 'no number', 'number as its port'),
  url('postgres://u@h:٥٤٣٢/d', 'digits of another script', 'number as its port'),
  url('postgres://u@a,b/d', 'which one?', 'several hosts'),
  url('postgres:///d', 'who?', 'no user'),
  url('postgres://h/d', 'who?', 'no user'),
  url('postgres://u@h/d?sslmode=maybe', 'no such mode', 'sslmode', 'verify-full'),
  url('postgres://u@h/d?sslmode=require&sslrootcert=system', 'weaker than what it asks for', 'sslmode'),
  url('postgres://u@h/d?connect_timeout=soon', 'no number', 'connect_timeout'),
  url('postgres://u@h/d?=x', 'no name', 'name=value'),
  url('host=h dbname=d', 'pairs', 'postgresql://'),
  url('postgres://u:[YOUR-PASSWORD]@h/d', 'nobody filled it in', 'placeholder'),
  url('postgres://u:<password>@h/d', 'nobody filled it in', 'placeholder'),
  url('postgres://u:p@ss@h/d', 'an @ in the password', 'percent-encoded'),
  url('postgres://u:p/ss@h/d', 'a slash in the password', 'percent-encoded'),
  url('postgres://u:p?ss@h/d', 'a question mark in the password', 'percent-encoded'),
  url('postgres://u:p#ss@h/d', 'a # in the password', '#'),
  url('postgres://u:100%@h/d', 'a % in the password', '%'),
  url('postgres://u:p%ff@h/d', 'no UTF-8', 'UTF-8'),
  url('postgres://u:p%00@h/d', 'no database takes it', 'NUL'),
  url('postgres://u@h/d e', 'a space within', 'space'),
  url('postgres://u@h/d\npostgres://u@h/e', 'two lines', 'line break'),
  url('postgres://u@[::1/d', 'half an IPv6 address', 'address'),
  url('postgres://u@[h]/d', 'no IPv6 address', 'IPv6'),
  url('postgres://u@::1/d', 'an IPv6 address without brackets', 'brackets'),
  url('postgres://u@<host>/d', 'nobody filled it in', 'host name'),
  url('postgres://u@-h/d', 'no host name', 'host name'),
  url('sb_secret_abc', 'a key of the project', 'API key'),
  url('eyJhbGciOi.J9', 'a key of the project', 'API key'),
];

/** Every way in which one flag, one variable and one file can name the database. */
const otherPlaces: BadInput[] = [
  {
    args: ['history'],
    env: { LORA_EXPORT_DATABASE_URL: 'x' },
    why: 'no URL',
    says: ['LORA_EXPORT_DATABASE_URL', 'postgres://'],
  },
  { args: ['history', '--database-url', 'nonsense'], why: 'no URL', says: ['--database-url', 'postgres://'] },
  {
    args: ['history', '--config', '{file}'],
    env: { DATABASE_URL: '' },
    content: '{"databaseUrl": "nonsense"}',
    why: 'no URL',
    says: ['databaseUrl in', 'postgres://'],
  },
  {
    args: ['history', '--dotenv', '{file}'],
    content: 'LORA_EXPORT_DATABASE_URL=nonsense\n',
    why: 'no URL',
    says: ['LORA_EXPORT_DATABASE_URL in', 'postgres://'],
  },
  ...['export', 'status', 'worker', 'init', 'download'].map((command): BadInput => ({
    args: command === 'download' ? [command, AN_ID] : [command],
    env: { DATABASE_URL: 'mysql://u@h/d' },
    why: `for ${command}, too`,
    says: ['DATABASE_URL', 'PostgreSQL'],
  })),
];

const variables: BadInput[] = [
  ...variableValues(
    'LORA_EXPORT_USER_ID',
    'UUID',
    NO_UUIDS.filter(([value]) => value !== ''),
  ),
  ...variableValues('LORA_EXPORT_RETENTION_HOURS', 'number of hours greater than 0', [
    ['1e3', 'an exponent'],
    ['0', 'gone at once'],
    ['-1', 'gone before'],
    ['day', 'a word'],
    ['24h', 'a unit'],
    ['999999', 'more than ten years'],
    [' 24 ', 'spaces'],
    ['٢٤', 'digits of another script'],
    ['0x18', 'hexadecimal'],
    ['NaN', 'no number'],
  ]),
  ...variableValues('LORA_EXPORT_JOB_FROM', 'whole number from 1', [
    ['0', 'every export and none'],
    ['1.5', 'a fraction'],
    ['2147483648', 'too many'],
    ['1e3', 'an exponent'],
  ]),
  ...variableValues('LORA_EXPORT_MAX_EXPORTS_PER_HOUR', 'whole number from 1', [
    ['0', 'never'],
    ['unlimited', 'a word'],
  ]),
  ...variableValues('LORA_EXPORT_LOG_RETENTION_DAYS', 'whole number from 1', [
    ['0', 'none at all'],
    ['30d', 'a unit'],
    ['36601', 'more than a hundred years'],
  ]),
  ...variableValues('LORA_EXPORT_LEGAL_HOLD', 'true or false', [
    ['yes', 'a word that could mean anything'],
    ['TRUE', 'upper case'],
    ['on', 'a word that could mean anything'],
    ['2', 'a number'],
  ]),
  ...variableValues('LORA_EXPORT_FORMAT', 'jsonl', [
    ['JSONL', 'upper case'],
    ['parquet', 'no format'],
    ['__proto__', 'a member of every object'],
  ]),
  ...variableValues('LORA_EXPORT_TARGET', 'openai', [['gpt', 'no target']]),
  ...variableValues('LORA_EXPORT_SCOPE', 'approved', [['mine', 'no scope']]),
  ...variableValues('LORA_EXPORT_LOG_FORMAT', 'text, json', [['logfmt', 'no such form']]),
  {
    args: ['config'],
    env: { LORA_EXPORT_CONFIG: 'absent.json' },
    why: 'not there',
    says: ['absent.json', 'no such file'],
  },
  { args: ['config'], env: { LORA_EXPORT_CONFIG: '.' }, why: 'not a file', says: ['directory'] },
  {
    args: ['export'],
    env: { LORA_EXPORT_FORMAT: 'csv', LORA_EXPORT_TARGET: 'openai' },
    why: 'a target is JSON Lines',
    says: ['csv', 'openai', 'contradict'],
  },
  {
    args: ['export'],
    env: { LORA_EXPORT_METRICS_FILE: 'absent/m.jsonl' },
    why: 'no such directory',
    says: ['metrics', 'directory'],
  },
  {
    args: ['export'],
    env: { LORA_EXPORT_SCHEMA: 's'.repeat(64) },
    why: 'PostgreSQL would cut the name',
    says: ['LORA_EXPORT_SCHEMA', '63 bytes'],
  },
  {
    args: ['history'],
    env: { LORA_EXPORT_AUDIT_SCHEMA: 'é'.repeat(32) },
    why: 'PostgreSQL would cut the name',
    says: ['LORA_EXPORT_AUDIT_SCHEMA', '63 bytes'],
  },
  {
    args: ['cleanup', '--logs'],
    env: { LORA_EXPORT_LEGAL_HOLD: 'true' },
    why: 'no row may be removed',
    says: ['legalHold'],
  },
  {
    args: ['cleanup', '--files'],
    env: { LORA_EXPORT_DIR: '/' },
    why: 'everything is below it',
    says: ['/', 'root of the file system'],
  },
  {
    args: ['cleanup', '--files'],
    env: { LORA_EXPORT_DIR: '/etc' },
    why: 'nothing was ever stored there',
    says: ['/etc'],
  },
];

/** Variables. */
export const environment: readonly BadInput[] = [...urls, ...otherPlaces, ...variables];
