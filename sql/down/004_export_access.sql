-- Undoes 004: the indexes of the lists, and the grants. How to run this file: see 001.
drop index if exists idx_export_logs_user_id_timestamp;
drop index if exists idx_export_runs_queued;
drop index if exists idx_export_runs_stored;
