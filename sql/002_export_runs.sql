-- What an export needs to know about itself beyond the audit log, which keeps its published 14 columns: who works on
-- it, how far it is, what it wrote. One row per export. How to run this file: see 001.

create table if not exists export_runs (
  export_id uuid primary key references export_logs (export_id) on delete cascade,
  phase text not null default 'writing' check (phase in ('queued', 'writing', 'publishing', 'done')),
  worker_id uuid,
  worker_host text,
  attempt integer not null default 1,
  heartbeat_at timestamptz not null default now(),
  matched_count integer,
  read_count integer not null default 0,
  written_count integer not null default 0,
  skipped_count integer not null default 0,
  skips jsonb not null default '{}',
  warnings jsonb not null default '{}',
  sha256 text,
  output jsonb not null default '{}',
  storage_key text,
  duration_ms bigint,
  file_deleted_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

-- Columns that came later than the table.
alter table export_runs add column if not exists repairs jsonb not null default '{}';
alter table export_runs add column if not exists progress smallint not null default 0;
alter table export_runs add column if not exists detached boolean not null default false;

-- As in 001: only where auth.uid() can tell who asks. The row belongs to whoever owns the row in export_logs.
do $$
begin
  if exists (
    select
    from pg_proc as p
    join pg_namespace as n on n.oid = p.pronamespace
    where n.nspname = 'auth' and p.proname = 'uid' and p.pronargs = 0 and p.prorettype = 'uuid'::regtype
  ) then
    alter table export_runs enable row level security;

    drop policy if exists "Users can view own export runs" on export_runs;
    create policy "Users can view own export runs" on export_runs
      for select using (
        exists (
          select from export_logs as l
          where l.export_id = export_runs.export_id and l.user_id = (select auth.uid())
        )
      );

    drop policy if exists "Users can create own export runs" on export_runs;
    create policy "Users can create own export runs" on export_runs
      for insert with check (
        exists (
          select from export_logs as l
          where l.export_id = export_runs.export_id and l.user_id = (select auth.uid())
        )
      );

    drop policy if exists "Users can update own export runs" on export_runs;
    create policy "Users can update own export runs" on export_runs
      for update using (
        exists (
          select from export_logs as l
          where l.export_id = export_runs.export_id and l.user_id = (select auth.uid())
        )
      ) with check (
        exists (
          select from export_logs as l
          where l.export_id = export_runs.export_id and l.user_id = (select auth.uid())
        )
      );
  end if;
end
$$;

comment on table export_runs is 'Working state of each export in export_logs: owner, progress, counts, checksum, storage.';
comment on column export_runs.phase is
  'publishing means: the file is complete and synced, and only its final name or its completed row may be missing.';
comment on column export_runs.heartbeat_at is 'Renewed while the export runs, by the clock of this server.';
comment on column export_runs.progress is 'Percent of the matched conversations, never backwards; 100 only when completed.';
comment on column export_runs.detached is
  'Any worker may take this export: while it is queued, and again when its worker has died.';
comment on column export_runs.file_deleted_at is 'When the managed file was removed; null while it may still exist.';
