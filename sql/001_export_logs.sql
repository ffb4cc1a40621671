-- The audit log: one row per export.
--
-- Every file in this directory can be run again at any time. The names are unqualified, so search_path chooses the
-- schema, and there is no transaction control: `lora-export init` wraps all files in one transaction. With psql, run
-- each file as `psql -1 -v ON_ERROR_STOP=1 -f FILE`, in the order of the numbers. PostgreSQL 13 or newer.

-- Tables of this name and another shape are in circulation. `create table if not exists` would keep such a table
-- without a word, and later statements would fail half-way; so refuse before anything is done.
do $$
declare
  problems text;
begin
  select string_agg(format('%s %s', expected.name, expected.type), ', ' order by expected.position)
  into problems
  from (
    values
      (1, 'id', 'uuid'),
      (2, 'export_id', 'uuid'),
      (3, 'user_id', 'uuid'),
      (4, 'timestamp', 'timestamp with time zone'),
      (5, 'format', 'text'),
      (6, 'config', 'jsonb'),
      (7, 'conversation_count', 'integer'),
      (8, 'file_size', 'bigint'),
      (9, 'status', 'text'),
      (10, 'file_url', 'text'),
      (11, 'expires_at', 'timestamp with time zone'),
      (12, 'error_message', 'text'),
      (13, 'created_at', 'timestamp with time zone'),
      (14, 'updated_at', 'timestamp with time zone')
  ) as expected (position, name, type)
  where to_regclass(format('%I.export_logs', current_schema())) is not null
    and not exists (
      select
      from pg_attribute as a
      where a.attrelid = to_regclass(format('%I.export_logs', current_schema()))
        and a.attname = expected.name
        and format_type(a.atttypid, a.atttypmod) = expected.type
        and not a.attisdropped
    );
  if problems is not null then
    raise exception using
      errcode = 'duplicate_table',
      message = format('%I.export_logs exists in another shape; missing: %s', current_schema(), problems),
      hint = 'Choose another schema for the audit tables.';
  end if;
end
$$;

create table if not exists export_logs (
  id uuid primary key default gen_random_uuid(),
  export_id uuid not null unique default gen_random_uuid(),
  user_id uuid not null,
  timestamp timestamptz not null default now(),
  format text not null check (format in ('json', 'jsonl', 'csv', 'markdown')),
  config jsonb not null,
  conversation_count integer not null,
  file_size bigint,
  status text not null check (status in ('queued', 'processing', 'completed', 'failed', 'expired')),
  file_url text,
  expires_at timestamptz,
  error_message text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create index if not exists idx_export_logs_user_id on export_logs (user_id);
create index if not exists idx_export_logs_timestamp on export_logs (timestamp desc);
create index if not exists idx_export_logs_status on export_logs (status);
create index if not exists idx_export_logs_format on export_logs (format);
create index if not exists idx_export_logs_expires_at on export_logs (expires_at) where status = 'completed';

-- A table that somebody else created with the right columns may lack the rules that come with ours.
do $$
begin
  if not exists (
    select from pg_constraint where conrelid = 'export_logs'::regclass and conname = 'export_logs_format_check'
  ) then
    alter table export_logs
      add constraint export_logs_format_check check (format in ('json', 'jsonl', 'csv', 'markdown'));
  end if;

  if not exists (
    select from pg_constraint where conrelid = 'export_logs'::regclass and conname = 'export_logs_status_check'
  ) then
    alter table export_logs
      add constraint export_logs_status_check
      check (status in ('queued', 'processing', 'completed', 'failed', 'expired'));
  end if;

  if not exists (
    select from pg_constraint
    where conrelid = 'export_logs'::regclass and contype = 'u' and pg_get_constraintdef(oid) = 'UNIQUE (export_id)'
  ) then
    alter table export_logs add constraint export_logs_export_id_key unique (export_id);
  end if;
end
$$;

-- auth.users exists on Supabase; on plain PostgreSQL a user id is any UUID. The catalogs are asked directly because
-- to_regclass('auth.users') is an error for a role that may not look into the schema.
do $$
begin
  if exists (
    select
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace
    join pg_attribute as a on a.attrelid = c.oid
    where n.nspname = 'auth' and c.relname = 'users' and c.relkind in ('r', 'p')
      and a.attname = 'id' and a.atttypid = 'uuid'::regtype
  ) and not exists (
    select from pg_constraint where conrelid = 'export_logs'::regclass and conname = 'fk_export_logs_user'
  ) then
    alter table export_logs
      add constraint fk_export_logs_user foreign key (user_id) references auth.users (id) on delete cascade;
  end if;
end
$$;

-- Row level security needs a way to tell who asks. Without auth.uid() there could be no policy, and a table with row
-- level security but no policy shows nothing to anybody but its owner; so it stays off there and grants decide.
-- There is no policy for DELETE: an ordinary user cannot erase the trail.
do $$
begin
  if exists (
    select
    from pg_proc as p
    join pg_namespace as n on n.oid = p.pronamespace
    where n.nspname = 'auth' and p.proname = 'uid' and p.pronargs = 0 and p.prorettype = 'uuid'::regtype
  ) then
    alter table export_logs enable row level security;

    -- The sub-select makes PostgreSQL call auth.uid() once per statement instead of once per row.
    drop policy if exists "Users can view own export logs" on export_logs;
    create policy "Users can view own export logs" on export_logs
      for select using ((select auth.uid()) = user_id);

    drop policy if exists "Users can create own export logs" on export_logs;
    create policy "Users can create own export logs" on export_logs
      for insert with check ((select auth.uid()) = user_id);

    drop policy if exists "Users can update own export logs" on export_logs;
    create policy "Users can update own export logs" on export_logs
      for update using ((select auth.uid()) = user_id) with check ((select auth.uid()) = user_id);
  end if;
end
$$;

comment on table export_logs is
  'Audit log of exports of training conversations: who exported what, when, with which settings, and how it ended.';
comment on column export_logs.config is
  'Everything needed to repeat the export: scope, format, content flags, filters, options and, at the end, the result.';
comment on column export_logs.status is
  'queued, processing, completed, failed or expired (the file has been removed). A cancelled export is failed.';
