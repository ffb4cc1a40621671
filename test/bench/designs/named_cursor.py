"""psycopg2 with a named cursor and json.dumps. Takes host, port, user, database, file and the statement."""
import json
import sys

import psycopg2
import psycopg2.extras

host, port, user, database, path, statement = sys.argv[1:]
connection = psycopg2.connect(host=host, port=port, user=user, dbname=database, options="-c TimeZone=UTC")
with connection, open(path, "w", encoding="utf-8") as out:
    cursor = connection.cursor(name="bench", cursor_factory=psycopg2.extras.RealDictCursor)
    cursor.itersize = 100
    cursor.execute(statement)
    for row in cursor:
        metadata = dict(row)
        del metadata["id"]
        messages = metadata.pop("messages")
        out.write(json.dumps({"messages": messages, "metadata": metadata}, ensure_ascii=False) + "\n")
