-- The type email.

CREATE SCHEMA email_test;
SET search_path = public;

-- What input does with a text: SQLSTATE, message and detail, or the value.
CREATE FUNCTION email_test.try(input text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    message text;
    detail  text;
BEGIN
    RETURN 'ok ' || (input::orgusers.email)::text;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
    RETURN concat_ws(' | ', SQLSTATE, message, detail);
END
$$;

-- Valid
SELECT input, email_test.try(input) FROM (VALUES
    (NULL),
    ('a@b'),
    ('Ann.Lee+news@Example.COM'),
    ('.!#$%&''*+/=?^_`{|}~-@example.com'),
    ('..@example.com'),
    ('a@1-1.x--y.9'),
    ('a@xn--bcher-kva.example')) AS t(input);
SELECT email_test.try(repeat('l', 64) || '@' || repeat('d', 63) || '.' || repeat('e', 63) || '.' || repeat('f', 61))
       = 'ok ' || repeat('l', 64) || '@' || repeat('d', 63) || '.' || repeat('e', 63) || '.' || repeat('f', 61) AS longest_is_valid;

-- Not valid
SELECT email_test.try(input) FROM (VALUES
    (''), (' '), ('a'), ('@'), ('a@'), ('@b'), ('a@b@c'), ('a@@b'),
    (' a@b'), ('a@b '), ('a @b'), (E'a@b\n'), (E'a\t@b'), (E'a@b\r\nBcc: x@y'),
    (E'a\x01@b'), (E'a@b\x7F'), (E'\x1B[31ma@b'),
    (U&'j\00FCrgen@b.de'), (U&'a@b\00FCcher.de'), (U&'a@b\00A0'), (U&'\202Ea@b'), (U&'\FEFFa@b'), (U&'a\FF20b'),
    ('a"b@c'), ('"a b"@c'), ('a(x)@b'), ('a,b@c'), ('<a@b>'), ('a\b@c'), ('a:b@c'), ('a;b@c'), ('a[b@c'),
    ('a@b.'), ('a@.b'), ('a@b..c'), ('a@-b'), ('a@b-'), ('a@b.-c.d'), ('a@b_c'), ('a@[127.0.0.1]'), ('a@b/c'), ('a@b%c'),
    (repeat('l', 65) || '@b'),
    ('a@' || repeat('d', 64)),
    ('a@' || repeat('d', 64) || '.b'),
    (repeat('l', 64) || '@' || repeat('d', 63) || '.' || repeat('e', 63) || '.' || repeat('f', 62)),
    (repeat('x', 3000000)),
    (repeat(U&'\00FC', 300)),
    (repeat('a@', 1000))) AS t(input);

-- Every byte at every place of a short address: as the standard's own expression says
SELECT count(*) AS inputs,
       count(*) FILTER (WHERE email_test.try(input) LIKE 'ok %') AS valid,
       count(*) FILTER (WHERE (email_test.try(input) LIKE 'ok %') IS DISTINCT FROM
           (input ~ '^[a-zA-Z0-9.!#$%&''*+\/=?^_`{|}~-]+@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$')) AS differ
FROM (SELECT overlay('ab@cd.ef' PLACING chr(c) FROM p FOR 1) FROM generate_series(1, 127) c, generate_series(1, 8) p) AS t(input);

-- The error as a caller sees it
SELECT 'no address'::orgusers.email;
\set VERBOSITY sqlstate
SELECT 'no address'::orgusers.email;
SELECT 'no address'::text::orgusers.email;
\set VERBOSITY default

-- A soft error where the server has them
DO $$
DECLARE
    valid boolean;
BEGIN
    IF current_setting('server_version_num')::integer >= 160000 THEN
        EXECUTE $q$SELECT pg_input_is_valid('no address', 'orgusers.email')$q$ INTO STRICT valid;
        ASSERT NOT valid, 'an invalid address is valid';
        EXECUTE $q$SELECT pg_input_is_valid('a@b', 'orgusers.email')$q$ INTO STRICT valid;
        ASSERT valid, 'a valid address is invalid';
    END IF;
END
$$;

-- Comparison is without case, keeps the spelling, and folds nothing but A to Z
SELECT 'Ann@Example.com'::orgusers.email AS spelling;
SELECT a, b, a = b AS eq, a <> b AS ne, a < b AS lt, a <= b AS le, a > b AS gt, a >= b AS ge, orgusers.email_cmp(a, b) AS cmp
FROM (VALUES (NULL::orgusers.email, NULL::orgusers.email)) AS t(a, b);
SELECT a, b, a = b AS eq, a <> b AS ne, a < b AS lt, a <= b AS le, a > b AS gt, a >= b AS ge, sign(orgusers.email_cmp(a, b)) AS cmp
FROM (VALUES
    ('A@b'::orgusers.email, 'a@B'::orgusers.email),
    ('a@b', 'a@bb'), ('B@b', 'a@b'), ('a@B', 'b@a'),
    ('_@b', 'a@b'), ('_@b', 'A@b'), ('{@b', 'Z@b'), ('`@b', '^@b'),
    ('a@b', NULL)) AS t(a, b);

-- A literal or an untyped parameter is compared as an address on either side, with any search path
SELECT 'A@b'::orgusers.email = 'a@B' AS literal, 'A@b' = 'a@B'::orgusers.email AS literal_left,
       'A@b'::orgusers.email IN ('x@y', 'a@B') AS in_list, 'A@b'::orgusers.email = ANY ('{x@y,a@B}') AS in_array,
       'A@b'::orgusers.email IS DISTINCT FROM 'a@B' AS is_distinct, nullif('A@b'::orgusers.email, 'a@B') IS NULL AS is_null,
       CASE 'A@b'::orgusers.email WHEN 'a@B' THEN 'same' END AS case_when;
SET search_path = pg_catalog, pg_temp;
SELECT 'A@b'::orgusers.email = 'a@B' AS pinned_path;
SET search_path = orgusers, public;
SELECT 'A@b'::email = 'a@B' AS our_path;
SET search_path = public;
PREPARE by_parameter AS SELECT 'A@b'::orgusers.email = $1;
SELECT parameter_types FROM pg_prepared_statements WHERE name = 'by_parameter';
EXECUTE by_parameter('a@B');
DEALLOCATE by_parameter;
\set VERBOSITY sqlstate
SELECT 'A@b'::orgusers.email = 'no address';
-- and never as text: what has the type text is refused
SELECT 'A@b'::orgusers.email = 'a@B'::text;
SELECT 'a@B'::text = 'A@b'::orgusers.email;
SELECT 'A@b'::orgusers.email = 'a@B'::varchar;
SELECT 'A@b'::orgusers.email LIKE 'a@%';
SELECT lower('A@b'::orgusers.email);
\set VERBOSITY default

-- Casts: to text on assignment, from text when asked for
CREATE TABLE email_test.casts (t text, v varchar(10), e orgusers.email);
INSERT INTO email_test.casts SELECT a, a, a FROM (VALUES ('Ann@b.c'::orgusers.email)) AS v(a);
SELECT t, v, e, t::orgusers.email = e AS same, e::text = t AS same_text FROM email_test.casts;
\set VERBOSITY sqlstate
INSERT INTO email_test.casts (e) SELECT t FROM email_test.casts;
\set VERBOSITY default
SELECT castsource::regtype, casttarget::regtype, castcontext, castmethod FROM pg_cast
WHERE 'orgusers.email'::regtype IN (castsource, casttarget) ORDER BY 1, 2;

-- Binary: round trip, and held to the same rules
SELECT orgusers.email_send('Ann@b.c') = convert_to('Ann@b.c', 'UTF8') AS sent;
CREATE TABLE email_test.binary (e orgusers.email);
INSERT INTO email_test.binary VALUES ('Ann@b.c'), (NULL), ('x@y');
SELECT current_setting('data_directory') || '/orgusers_email_test.bin' AS file \gset
COPY email_test.binary TO :'file' (FORMAT binary);
CREATE TABLE email_test.binary_copy (e orgusers.email);
COPY email_test.binary_copy FROM :'file' (FORMAT binary);
SELECT e FROM email_test.binary_copy ORDER BY e;
CREATE TABLE email_test.texts (t text);
\set VERBOSITY sqlstate
INSERT INTO email_test.texts VALUES ('no address');
COPY email_test.texts TO :'file' (FORMAT binary);
COPY email_test.binary_copy FROM :'file' (FORMAT binary);
UPDATE email_test.texts SET t = '';
COPY email_test.texts TO :'file' (FORMAT binary);
COPY email_test.binary_copy FROM :'file' (FORMAT binary);
UPDATE email_test.texts SET t = repeat('x', 3000000);
COPY email_test.texts TO :'file' (FORMAT binary);
COPY email_test.binary_copy FROM :'file' (FORMAT binary);
\set VERBOSITY default
SELECT count(*) FROM email_test.binary_copy;
COPY (SELECT) TO :'file';

-- Indexes, ordering, grouping and joins
CREATE TABLE email_test.people (id integer, e orgusers.email);
INSERT INTO email_test.people
SELECT i, ((CASE WHEN i % 2 = 0 THEN 'User' ELSE 'uSER' END) || i / 2 || '@Example.com')::orgusers.email FROM generate_series(0, 4999) i;
CREATE INDEX people_btree ON email_test.people USING btree (e);
ANALYZE email_test.people;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM email_test.people WHERE e = 'USER7@example.COM';
SELECT id, e FROM email_test.people WHERE e = 'USER7@example.COM' ORDER BY id;
EXPLAIN (COSTS OFF) SELECT e FROM email_test.people ORDER BY e LIMIT 3;
SELECT lower(e::text) FROM email_test.people ORDER BY e LIMIT 3;
SELECT count(*) FROM email_test.people WHERE e > 'USER10@example.com' AND e <= 'user1@EXAMPLE.com';
SELECT count(*) FROM email_test.people WHERE lower(e::text) > 'user10@example.com' COLLATE "C" AND lower(e::text) <= 'user1@example.com' COLLATE "C";
DROP INDEX email_test.people_btree;
CREATE INDEX people_hash ON email_test.people USING hash (e);
EXPLAIN (COSTS OFF) SELECT id FROM email_test.people WHERE e = 'USER7@example.COM';
SELECT id, e FROM email_test.people WHERE e = 'USER7@example.COM' ORDER BY id;
DROP INDEX email_test.people_hash;
RESET enable_seqscan;
RESET enable_bitmapscan;

SELECT count(DISTINCT e) AS distinct_spellings_are_one FROM email_test.people;
SET enable_sort = off;
EXPLAIN (COSTS OFF) SELECT e, count(*) FROM email_test.people GROUP BY e;
SELECT n, count(*) FROM (SELECT count(*) AS n FROM email_test.people GROUP BY e) AS g GROUP BY n;
RESET enable_sort;
SET enable_hashagg = off;
EXPLAIN (COSTS OFF) SELECT e, count(*) FROM email_test.people GROUP BY e;
SELECT n, count(*) FROM (SELECT count(*) AS n FROM email_test.people GROUP BY e) AS g GROUP BY n ORDER BY n;
RESET enable_hashagg;

SET enable_nestloop = off;
SET enable_mergejoin = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM email_test.people a JOIN email_test.people b USING (e);
SELECT count(*) FROM email_test.people a JOIN email_test.people b USING (e);
RESET enable_mergejoin;
SET enable_hashjoin = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM email_test.people a JOIN email_test.people b USING (e);
SELECT count(*) FROM email_test.people a JOIN email_test.people b USING (e);
RESET enable_hashjoin;
RESET enable_nestloop;

SELECT e FROM (VALUES ('b@x'::orgusers.email), ('A@x'), ('C@x'), ('a@y'), (NULL)) AS t(e) ORDER BY e;
SELECT e FROM (VALUES ('b@x'::orgusers.email), ('A@x'), ('C@x'), ('a@y'), (NULL)) AS t(e) ORDER BY e DESC;
SELECT count(*) FROM (SELECT 'a@x'::orgusers.email UNION SELECT 'A@X' UNION SELECT 'b@x') AS t;

-- A unique key and a foreign key are without case; hash partitions hold both spellings together
CREATE TABLE email_test.keys (e orgusers.email PRIMARY KEY);
CREATE TABLE email_test.referring (e orgusers.email REFERENCES email_test.keys);
INSERT INTO email_test.keys VALUES ('Ann@x');
INSERT INTO email_test.referring VALUES ('aNN@X');
INSERT INTO email_test.keys VALUES ('ANN@X') ON CONFLICT DO NOTHING;
\set VERBOSITY sqlstate
INSERT INTO email_test.keys VALUES ('ANN@X');
INSERT INTO email_test.referring VALUES ('bob@x');
\set VERBOSITY default
CREATE TABLE email_test.parted (e orgusers.email) PARTITION BY HASH (e);
CREATE TABLE email_test.parted_0 PARTITION OF email_test.parted FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE email_test.parted_1 PARTITION OF email_test.parted FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO email_test.parted SELECT e FROM email_test.people;
SELECT count(DISTINCT tableoid) AS partitions FROM email_test.parted;
SELECT max(n) AS partitions_of_an_address FROM (SELECT count(DISTINCT tableoid) AS n FROM email_test.parted GROUP BY e) AS g;
SELECT count(*) FROM email_test.parted WHERE e = 'USER7@example.COM';

-- Both hashes follow equality, and the seed matters
SELECT orgusers.email_hash('A@b') = orgusers.email_hash('a@B') AS hash,
       orgusers.email_hash_extended('A@b', 7) = orgusers.email_hash_extended('a@B', 7) AS extended,
       orgusers.email_hash_extended('A@b', 7) <> orgusers.email_hash_extended('A@b', 8) AS seeded,
       orgusers.email_hash_extended('A@b', 0) & 4294967295 = orgusers.email_hash('A@b')::bigint & 4294967295 AS lower_half;

-- A value that is stored compressed compares and hashes like others
CREATE TABLE email_test.stored (e orgusers.email, filler text);
ALTER TABLE email_test.stored ALTER filler SET STORAGE plain;
INSERT INTO email_test.stored VALUES ((repeat('L', 64) || '@' || repeat('d', 63) || '.' || repeat('D', 63) || '.com')::orgusers.email, repeat('x', 2000));
SELECT pg_column_size(e) < length(e::text) AS compressed,
       e = (repeat('l', 64) || '@' || repeat('D', 63) || '.' || repeat('d', 63) || '.COM')::orgusers.email AS same,
       orgusers.email_hash(e) = orgusers.email_hash((repeat('l', 64) || '@' || repeat('D', 63) || '.' || repeat('d', 63) || '.COM')::orgusers.email) AS same_hash
FROM email_test.stored;

-- Leakproof: equality and nothing else
SELECT oid::regprocedure FROM pg_proc WHERE proleakproof AND pronamespace = 'orgusers'::regnamespace ORDER BY oid::regprocedure::text COLLATE "C";
SELECT opcname FROM pg_opclass WHERE NOT amvalidate(oid) AND opcnamespace = 'orgusers'::regnamespace;

SET client_min_messages = warning;
DROP SCHEMA email_test CASCADE;
