-- Takes back 003: from here on nothing checks how an export's status changes.
--
-- The files in this directory undo the migrations, highest number first. Like those they can be run again, use
-- search_path and hold no transaction control: `psql -1 -v ON_ERROR_STOP=1 -f FILE`.

do $$
begin
  if to_regclass(format('%I.export_logs', current_schema())) is not null then
    drop trigger if exists export_logs_transitions on export_logs;
  end if;
end
$$;

drop function if exists export_logs_transitions();
