-- The type invitation_token, and ids.

CREATE SCHEMA token_test;

-- What input does with a text: SQLSTATE, message and detail, or what the type shows.
CREATE FUNCTION token_test.try(input text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    message text;
    detail  text;
    hint    text;
    context text;
BEGIN
    RETURN 'ok ' || (input::orgusers.invitation_token)::text;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT;
    ASSERT length(input) < 10 OR position(substr(input, 5, 20) IN message || detail || hint || context) = 0, 'the error repeats the input';
    RETURN concat_ws(' | ', SQLSTATE, message, detail);
END
$$;

-- Fixed tokens, computed elsewhere: one secret in two organizations, and in versions that do not exist, with right checksums.
SELECT 'oui_AQGQAAAAAHAAgAAAAAAAAAEAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHwvrKtA' AS good,
       'oui_AQGQAAAAAHAAgAAAAAAAAAIAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eH-os5Lc' AS other_organization,
       'oui_AgGQAAAAAHAAgAAAAAAAAAEAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eH2dSjT0' AS version_2,
       'oui_AAGQAAAAAHAAgAAAAAAAAAEAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eH6xKdXA' AS version_0,
       'oui_AQGQAAAAAHAAgAAAAAAAAAH__________________________________________yQEIFI' AS underscores \gset

-- It is shown without what makes it usable, and what is shown is refused
SELECT :'good'::orgusers.invitation_token;
SELECT token_test.try(:'good');
SELECT token_test.try(:'underscores');
SELECT token_test.try(:'good'::orgusers.invitation_token::text);
SELECT NULL::orgusers.invitation_token IS NULL AS is_null, token_test.try(NULL) IS NULL AS cast_is_null;
SELECT to_jsonb(:'good'::orgusers.invitation_token), ARRAY[:'good'::orgusers.invitation_token], ROW(:'good'::orgusers.invitation_token);
SELECT format('%s', :'good'::orgusers.invitation_token);

-- The functions that definers use
SELECT orgusers.token_text(:'good') = :'good' AS text, orgusers.token_organization(:'good'), orgusers.token_digest(:'good'),
       orgusers.invitation_token_send(:'good');
SELECT orgusers.token_text(NULL), orgusers.token_organization(NULL), orgusers.token_digest(NULL), orgusers.new_invitation_token(NULL);

-- New tokens: of their organization, never the same, 75 URL-safe characters
SELECT count(*) AS tokens, count(DISTINCT orgusers.token_text(t)) AS distinct_texts, count(DISTINCT orgusers.token_digest(t)) AS distinct_digests,
       bool_and(orgusers.token_organization(t) = '01900000-0000-7000-8000-000000000001') AS of_organization,
       bool_and(orgusers.token_text(t) ~ '^oui_[A-Za-z0-9_-]{71}$') AS well_formed,
       bool_and(orgusers.token_text(t)::orgusers.invitation_token = t) AS read_back,
       bool_and(t::text = 'invitation_token(01900000-0000-7000-8000-000000000001,redacted)') AS redacted
FROM (SELECT orgusers.new_invitation_token('01900000-0000-7000-8000-000000000001') AS t FROM generate_series(1, 1000) OFFSET 0) AS n;

-- The digest is keyed with the organization: one secret, two organizations, two digests
SELECT orgusers.token_digest(:'good') <> orgusers.token_digest(:'other_organization') AS keyed,
       substr(orgusers.invitation_token_send(:'good'), 18, 32) = substr(orgusers.invitation_token_send(:'other_organization'), 18, 32) AS same_secret,
       length(orgusers.token_digest(:'good')) AS bytes;

-- Equality, and no order or hash
SELECT t = t AS eq, t <> t AS ne, t = u AS eq_other, t <> u AS ne_other, t = NULL AS with_null
FROM (SELECT :'good'::orgusers.invitation_token AS t, :'other_organization'::orgusers.invitation_token AS u) AS v;
SET search_path = pg_catalog, pg_temp;
SELECT :'good'::orgusers.invitation_token = :'good' AS pinned_path;
RESET search_path;
\set VERBOSITY sqlstate
SELECT :'good'::orgusers.invitation_token < :'good';
SELECT DISTINCT t FROM (VALUES (:'good'::orgusers.invitation_token)) AS v(t);
SELECT t FROM (VALUES (:'good'::orgusers.invitation_token)) AS v(t) ORDER BY t;
SELECT :'good'::orgusers.invitation_token = :'good'::text;
CREATE TABLE token_test.keyed (t orgusers.invitation_token PRIMARY KEY);
\set VERBOSITY default

-- Every other text is refused, with the reason and without the text
SELECT what, token_test.try(input) FROM (VALUES
    ('empty', ''),
    ('one character', 'o'),
    ('prefix', 'oui_'),
    ('first half', left(:'good', 40)),
    ('one missing', left(:'good', -1)),
    ('first missing', right(:'good', -1)),
    ('one more', :'good' || 'A'),
    ('padded', :'good' || '='),
    ('twice', :'good' || :'good'),
    ('thrice', :'good' || :'good' || :'good'),
    ('megabytes', :'good' || repeat('A', 5000000)),
    ('megabytes of blanks', repeat(' ', 5000000)),
    ('blank before', ' ' || :'good'),
    ('blank after', :'good' || ' '),
    ('blank inside', overlay(:'good' PLACING ' ' FROM 30 FOR 0)),
    ('blank instead', overlay(:'good' PLACING ' ' FROM 30 FOR 1)),
    ('line break', :'good' || E'\n'),
    ('wrapped', overlay(:'good' PLACING E'\r\n' FROM 60 FOR 0)),
    ('tab', E'\t' || :'good'),
    ('blanks only', '    '),
    ('other prefix', overlay(:'good' PLACING 'ouj_' FROM 1 FOR 4)),
    ('upper-case prefix', upper(left(:'good', 4)) || right(:'good', -4)),
    ('uuid', '01900000-0000-7000-8000-000000000001'),
    ('link', 'https://example.com/join?token=' || :'good'),
    ('quoted', '"' || :'good' || '"'),
    ('full stop', :'good' || '.'),
    ('plus', overlay(:'good' PLACING '+' FROM 30 FOR 1)),
    ('slash', overlay(:'good' PLACING '/' FROM 30 FOR 1)),
    ('equals sign', overlay(:'good' PLACING '=' FROM 30 FOR 1)),
    ('control character', overlay(:'good' PLACING E'\x01' FROM 30 FOR 1)),
    ('escape', overlay(:'good' PLACING E'\x1B' FROM 75 FOR 1)),
    ('not ASCII', overlay(:'good' PLACING U&'\00E9' FROM 30 FOR 2)),
    ('not ASCII, longer', overlay(:'good' PLACING U&'\00E9' FROM 30 FOR 1)),
    ('not ASCII for __', overlay(:'underscores' PLACING U&'\00E9' FROM 34 FOR 2)),
    ('no-break space', :'good' || U&'\00A0'),
    ('zero-width space', U&'\200B' || :'good'),
    ('Cyrillic o', U&'\043E' || right(:'good', -1)),
    ('case changed', upper(:'good')),
    ('version 2', :'version_2'),
    ('version 0', :'version_0')) AS t(what, input);

-- Each character replaced by every other: none of the texts is a token, the last character's spare bits included
WITH tried AS (
    SELECT p, c, token_test.try(overlay(:'good' PLACING c FROM p FOR 1)) AS result
    FROM generate_series(1, 75) p, regexp_split_to_table('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_', '') c
    WHERE substr(:'good', p, 1) COLLATE "C" <> c)
SELECT result, count(*), min(p) AS first, max(p) AS last FROM tried GROUP BY result ORDER BY result COLLATE "C";

-- Neighbours exchanged
SELECT count(*) AS exchanged, count(*) FILTER (WHERE token_test.try(t) LIKE 'ok %') AS accepted
FROM (SELECT overlay(:'good' PLACING reverse(substr(:'good', p, 2)) FROM p FOR 2) FROM generate_series(5, 74) p) AS v(t)
WHERE t <> :'good';

-- The error as a caller sees it
\set VERBOSITY sqlstate
SELECT 'oui_'::orgusers.invitation_token;
SELECT 'oui_'::text::orgusers.invitation_token;
\set VERBOSITY default
DO $$
DECLARE
    valid boolean;
BEGIN
    IF current_setting('server_version_num')::integer >= 160000 THEN
        EXECUTE $q$SELECT pg_input_is_valid('oui_', 'orgusers.invitation_token')$q$ INTO STRICT valid;
        ASSERT NOT valid, 'an invalid token is valid';
    END IF;
END
$$;

-- Binary: the whole token, checked when it comes in
CREATE TABLE token_test.binary (t orgusers.invitation_token);
CREATE TABLE token_test.bytes (b bytea);
INSERT INTO token_test.binary VALUES (:'good'), (NULL);
SELECT current_setting('data_directory') || '/orgusers_token_test.bin' AS file \gset
COPY token_test.binary TO :'file' (FORMAT binary);
COPY token_test.binary FROM :'file' (FORMAT binary);
COPY token_test.bytes FROM :'file' (FORMAT binary);
SELECT count(*), count(*) FILTER (WHERE t = :'good') AS good, count(*) FILTER (WHERE t IS NULL) AS nulls FROM token_test.binary;
SELECT count(*) FILTER (WHERE b = orgusers.invitation_token_send(:'good')) AS sent FROM token_test.bytes;
DELETE FROM token_test.bytes WHERE b IS NULL;
COPY token_test.binary TO STDOUT;

CREATE FUNCTION token_test.receive(bytes bytea, file text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
BEGIN
    DELETE FROM token_test.bytes;
    INSERT INTO token_test.bytes VALUES (bytes);
    EXECUTE format('COPY token_test.bytes TO %L (FORMAT binary)', file);
    EXECUTE format('COPY token_test.binary FROM %L (FORMAT binary)', file);
    RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN concat_ws(' | ', SQLSTATE, SQLERRM, detail);
END
$$;
SELECT what, token_test.receive(bytes, :'file') FROM (VALUES
    ('good', orgusers.invitation_token_send(:'good')),
    ('empty', ''),
    ('one missing', substr(orgusers.invitation_token_send(:'good'), 1, 52)),
    ('one more', orgusers.invitation_token_send(:'good') || '\x00'),
    ('megabytes', decode(repeat('00', 3000000), 'hex')),
    ('all zero', decode(repeat('00', 53), 'hex')),
    ('version 2', '\x0201900000000070008000000000000001000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f67528d3d')) AS t(what, bytes);
SELECT result, count(*) FROM (
    SELECT token_test.receive(set_bit(b, i, 1 - get_bit(b, i)), :'file')
    FROM (SELECT orgusers.invitation_token_send(:'good')) AS s(b), generate_series(0, 53 * 8 - 1) i) AS t(result)
GROUP BY result;
COPY (SELECT) TO :'file';

-- Ids: version 7, variant 2, the time of day, increasing
SELECT count(*) AS ids, count(DISTINCT id) AS distinct_ids,
       bool_and(id::text ~ '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$') AS version_7,
       bool_and(id > before) AS increasing,
       bool_and(substr(id::text, 1, 18) > substr(before::text, 1, 18)) AS time_increasing,
       count(DISTINCT substr(id::text, 20)) AS distinct_randoms
FROM (SELECT id, lag(id) OVER (ORDER BY n) AS before
      FROM (SELECT n, orgusers.new_id() AS id FROM generate_series(1, 10000) n OFFSET 0) AS made) AS ordered;
SELECT abs(('x' || translate(left(id::text, 13), '-', ''))::bit(48)::bigint - extract(epoch FROM clock_timestamp()) * 1000) < 1000 AS is_now
FROM orgusers.new_id() AS id;
-- the variant's two bits are fixed, the 62 after them are not
SELECT bool_and(n BETWEEN 4500 AND 5500) AS even FROM (
    SELECT i, sum(get_bit(uuid_send(id), i)) AS n
    FROM (SELECT orgusers.new_id() AS id FROM generate_series(1, 10000) OFFSET 0) AS made, generate_series(64, 127) i
    WHERE i NOT IN (70, 71)
    GROUP BY i) AS bits;
-- 12 bits of a millisecond's fraction are used
SELECT count(DISTINCT substr(id::text, 16, 3)) > 100 AS fractions FROM (SELECT orgusers.new_id() AS id FROM generate_series(1, 10000) OFFSET 0) AS made;

SET client_min_messages = warning;
DROP SCHEMA token_test CASCADE;
