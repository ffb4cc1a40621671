-- Real-looking conversations: 50 to 1,500 characters a turn, several scripts, quotes, newlines, backslashes, NULLs.
-- As many as the setting bench.conversations says; always the same ones.
select setseed(0.42);

create temporary table pieces as
select row_number() over () - 1 as n, text
from (
  values
    ('I keep putting the envelope back on the shelf, and every month the number inside has grown. '),
    ('That sounds heavy, and it makes sense that you look away from it; most people in your place would. '),
    ('Let us take one step only: write down the balance, the rate and the smallest payment. '),
    (E'She said "we will manage", and then nobody said anything for a week.\n\n'),
    ('Café, naïve, Zürich, Łódź – the money went where the family went. '),
    ('我不知道从哪里开始，也不敢打开那封信。先写下余额和利率，我们慢慢来。'),
    (E'1. Rent: 1,200 €\n2. Food: 380 €\n3. What is left: "not much" 😅\n'),
    ('כל חודש אני מבטיח לעצמי שהפעם יהיה אחרת, והפעם גם כן. '),
    (E'The file is at C:\\budget\\2025.xlsx, and the tab\tbetween the columns matters. '),
    ('A buffer of one month turns an emergency into an annoyance, which is all we want from it at first. ')
) as v (text);

create temporary table paragraphs as
select p, string_agg(text, '' order by i) as text
from (
  select p, i, text
  from generate_series(0, 499) as p
  cross join lateral generate_series(1, 1 + (p * 7 % 14)) as i
  join pieces on n = (p * 13 + i * i * 3 + p * i) % 10
) as parts
group by p;
create unique index on paragraphs (p);

insert into conversations
  (id, conversation_id, title, status, tier, persona, emotion, topic, quality_score, category, parameters, created_at, updated_at)
select
  md5('c' || i)::uuid, 'bench_' || lpad(i::text, 8, '0'),
  case when i % 17 = 0 then null else 'Conversation "' || i || '" – Überblick' end,
  'approved', (array['template', 'scenario', 'edge_case'])[1 + i % 3],
  'Persona ' || i % 12, case when i % 23 = 0 then null else 'anxiety' end, 'topic ' || i % 40,
  case when i % 29 = 0 then null else round((6 + i % 40 / 10.0)::numeric, 1) end,
  array['debt', 'retirement'], '{"language": "en"}',
  timestamptz '2025-01-01' + i * interval '61.123457 seconds', timestamptz '2025-06-01' + i * interval '7 seconds'
from generate_series(1, current_setting('bench.conversations')::integer) as i;

insert into conversation_turns (conversation_id, turn_number, role, content, token_count)
select md5('c' || i)::uuid, t, case when t % 2 = 1 then 'user' else 'assistant' end, text, 0
from generate_series(1, current_setting('bench.conversations')::integer) as i
cross join lateral generate_series(1, 2 * (2 + i % 5)) as t
join paragraphs on p = (i * 31 + t * 17) % 500;
