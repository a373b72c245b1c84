-- Public keys of mailers, and sealing for them.

CREATE SCHEMA seal_test;

CREATE FUNCTION seal_test.try(key text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    message text;
    detail  text;
BEGIN
    RETURN 'ok ' || orgusers.add_mailer_key(key);
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
    RETURN concat_ws(' | ', SQLSTATE, message, detail);
END
$$;
CREATE VIEW seal_test.in_use AS
    SELECT id FROM orgusers.mailer_keys WHERE retired_at IS NULL ORDER BY created_at DESC LIMIT 1;

-- The public keys of RFC 7748's example
SELECT 'hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=' AS alice, '3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08=' AS bob,
       'hSDw////p1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=' AS slashes \gset

SELECT count(*) FROM orgusers.mailer_keys;
SELECT orgusers.add_mailer_key(:'alice');
SELECT * FROM seal_test.in_use;
SELECT orgusers.add_mailer_key(:'bob');
SELECT * FROM seal_test.in_use;
SELECT id, public_key, retired_at FROM orgusers.mailer_keys ORDER BY created_at;

-- The same again: the same id, one row, and it is the one in use; in one transaction too
SELECT orgusers.add_mailer_key(:'alice');
SELECT * FROM seal_test.in_use;
BEGIN;
SELECT orgusers.add_mailer_key(:'bob');
SELECT orgusers.add_mailer_key(:'alice');
SELECT orgusers.add_mailer_key(:'bob');
SELECT * FROM seal_test.in_use;
COMMIT;
UPDATE orgusers.mailer_keys SET created_at = now() + interval '1 day' WHERE id = orgusers.mailer_key_id(decode(:'bob', 'base64'));
SELECT orgusers.add_mailer_key(:'alice');
SELECT * FROM seal_test.in_use;
SELECT count(*) AS keys, count(DISTINCT created_at) AS times FROM orgusers.mailer_keys;

-- Retiring
SELECT orgusers.retire_mailer_key(orgusers.mailer_key_id(decode(:'alice', 'base64')));
SELECT * FROM seal_test.in_use;
SELECT id, retired_at IS NOT NULL AS retired FROM orgusers.mailer_keys ORDER BY id;
SELECT retired_at FROM orgusers.mailer_keys WHERE retired_at IS NOT NULL \gset
SELECT orgusers.retire_mailer_key(orgusers.mailer_key_id(decode(:'alice', 'base64')));
SELECT retired_at = :'retired_at' AS first_time_stays FROM orgusers.mailer_keys WHERE retired_at IS NOT NULL;
SELECT orgusers.retire_mailer_key(orgusers.mailer_key_id(decode(:'bob', 'base64')));
SELECT * FROM seal_test.in_use;
SELECT orgusers.add_mailer_key(:'alice');
SELECT * FROM seal_test.in_use;
SELECT orgusers.retire_mailer_key('0000000000000000');
\set VERBOSITY sqlstate
SELECT orgusers.retire_mailer_key('');
SELECT orgusers.retire_mailer_key(NULL);
\set VERBOSITY default

-- Texts that are no public key
SELECT what, seal_test.try(key) FROM (VALUES
    ('NULL', NULL),
    ('empty', ''),
    ('no padding', rtrim(:'alice', '=')),
    ('too short', left(:'alice', 20)),
    ('31 bytes', encode(substr(decode(:'alice', 'base64'), 1, 31), 'base64')),
    ('33 bytes', encode(decode(:'alice', 'base64') || '\x00', 'base64')),
    ('megabytes', repeat('A', 3000000)),
    ('line break after', :'alice' || E'\n'),
    ('blank before', ' ' || :'alice'),
    ('blank instead', overlay(:'alice' PLACING ' ' FROM 10 FOR 1)),
    ('URL-safe', translate(:'slashes', '+/', '-_')),
    ('not ASCII', overlay(:'alice' PLACING U&'\00E9' FROM 10 FOR 2)),
    ('not ASCII for //', overlay(:'slashes' PLACING U&'\00E9' FROM 5 FOR 2)),
    ('padding inside', overlay(:'alice' PLACING '=' FROM 10 FOR 1)),
    ('spare bits', overlay(:'alice' PLACING chr(ascii(substr(:'alice', 43, 1)) + 1) FROM 43 FOR 1)),
    ('hexadecimal', encode(decode(:'alice', 'base64'), 'hex')),
    ('control character', overlay(:'alice' PLACING E'\x01' FROM 10 FOR 1))) AS t(what, key);

-- Keys that anybody can open, or nobody: refused wherever they come from
CREATE TABLE seal_test.unusable (what text, key bytea);
INSERT INTO seal_test.unusable VALUES
    ('all zero', '\x0000000000000000000000000000000000000000000000000000000000000000'),
    ('one', '\x0100000000000000000000000000000000000000000000000000000000000000'),
    ('order 8', '\xe0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800'),
    ('order 8, the other', '\x5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157'),
    ('p - 1', '\xecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f'),
    ('p', '\xedffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f'),
    ('p + 1', '\xeeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f'),
    ('all zero, top bit set', '\x0000000000000000000000000000000000000000000000000000000000000080'),
    ('one, top bit set', '\x0100000000000000000000000000000000000000000000000000000000000080'),
    ('order 8, top bit set', '\xe0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b880'),
    ('order 8, the other, top bit set', '\x5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f11d7'),
    ('p - 1, top bit set', '\xecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff'),
    ('p, top bit set', '\xedffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff'),
    ('p + 1, top bit set', '\xeeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff'),
    ('all ones', '\xffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff'),
    ('usable with the top bit set', '\x0900000000000000000000000000000000000000000000000000000000000080');
SELECT what, seal_test.try(encode(key, 'base64')) FROM seal_test.unusable;
CREATE FUNCTION seal_test.try_all(key bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    id     uuid := orgusers.new_id();
    states text[];
BEGIN
    BEGIN
        PERFORM orgusers.mailer_key_id(key);
    EXCEPTION WHEN OTHERS THEN
        states := states || SQLSTATE::text;
    END;
    BEGIN
        INSERT INTO orgusers.mailer_keys (id, public_key) VALUES ('0000000000000000', key);
    EXCEPTION WHEN OTHERS THEN
        states := states || SQLSTATE::text;
    END;
    BEGIN
        PERFORM orgusers.seal_invitation(key, id, id, 'ann@example.com', now(), orgusers.new_invitation_token(id));
    EXCEPTION WHEN OTHERS THEN
        states := states || SQLSTATE::text;
    END;
    RETURN states;
END
$$;
SELECT seal_test.try_all(key), count(*) FROM seal_test.unusable GROUP BY 1;
SELECT seal_test.try_all(''), seal_test.try_all(decode(repeat('09', 31), 'hex')), seal_test.try_all(decode(repeat('09', 33), 'hex')), seal_test.try_all(decode(repeat('09', 3000000), 'hex'));
\set VERBOSITY sqlstate
INSERT INTO orgusers.mailer_keys (id, public_key) VALUES ('0000000000000000', decode(:'alice', 'base64'));
INSERT INTO orgusers.mailer_keys (id, public_key) VALUES ('0000000000000000', NULL);
\set VERBOSITY default
SELECT count(*) FROM orgusers.mailer_keys;

-- Sealing: its length follows the address, it is never the same, and nothing can be read in it
CREATE TABLE seal_test.sealed AS
SELECT e.email, t.token, orgusers.seal_invitation(decode(:'alice', 'base64'), '01900000-0000-7000-8000-000000000001',
           '01900000-0000-7000-8000-000000000002', e.email, '2030-01-01 00:00:00+00', t.token) AS bytes
FROM (VALUES ('a@b'::orgusers.email), ('ann@example.com'), ('ann@example.com'),
             ((repeat('l', 64) || '@' || repeat('d', 63) || '.' || repeat('e', 63) || '.' || repeat('f', 61))::orgusers.email)) AS e(email),
     (SELECT orgusers.new_invitation_token('01900000-0000-7000-8000-000000000001') AS token OFFSET 0) AS t;
SELECT length(email::text) AS address, length(bytes) AS sealed FROM seal_test.sealed ORDER BY 1;
SELECT count(DISTINCT bytes) AS distinct_seals FROM seal_test.sealed;
SELECT count(*) AS readable FROM seal_test.sealed
WHERE position(substr(orgusers.invitation_token_send(token), 18, 8) IN bytes) > 0
   OR position('\x01900000000070008000'::bytea IN bytes) > 0
   OR position('example'::bytea IN bytes) > 0;

-- What it refuses
SELECT orgusers.seal_invitation(decode(:'alice', 'base64'), '01900000-0000-7000-8000-000000000001', '01900000-0000-7000-8000-000000000002',
    'ann@example.com', 'infinity', orgusers.new_invitation_token('01900000-0000-7000-8000-000000000001'));
SELECT orgusers.seal_invitation(decode(:'alice', 'base64'), '01900000-0000-7000-8000-000000000001', '01900000-0000-7000-8000-000000000002',
    'ann@example.com', now(), orgusers.new_invitation_token('01900000-0000-7000-8000-000000000003'));
SELECT orgusers.seal_invitation('', '01900000-0000-7000-8000-000000000001', '01900000-0000-7000-8000-000000000002',
    'ann@example.com', now(), orgusers.new_invitation_token('01900000-0000-7000-8000-000000000001'));
\set VERBOSITY sqlstate
SELECT orgusers.seal_invitation(decode(:'alice', 'base64'), o, o, 'ann@example.com', '-infinity', orgusers.new_invitation_token(o)) FROM orgusers.new_id() AS o;
SELECT orgusers.seal_invitation(decode(:'alice', 'base64'), o, o, 'ann@example.com', '294276-12-31 23:59:59+00', orgusers.new_invitation_token(o)) FROM orgusers.new_id() AS o;
\set VERBOSITY default
SELECT length(orgusers.seal_invitation(decode(:'alice', 'base64'), o, o, 'ann@example.com', '4713-01-01 00:00:00+00 BC', orgusers.new_invitation_token(o))) AS long_ago FROM orgusers.new_id() AS o;
SELECT orgusers.seal_invitation(NULL, o, o, 'ann@example.com', now(), orgusers.new_invitation_token(o)) IS NULL AS no_key,
       orgusers.seal_invitation(decode(:'alice', 'base64'), o, o, NULL, now(), orgusers.new_invitation_token(o)) IS NULL AS no_address,
       orgusers.seal_invitation(decode(:'alice', 'base64'), o, o, 'ann@example.com', NULL, orgusers.new_invitation_token(o)) IS NULL AS no_expiry,
       orgusers.seal_invitation(decode(:'alice', 'base64'), o, o, 'ann@example.com', now(), NULL) IS NULL AS no_token
FROM orgusers.new_id() AS o;

SET client_min_messages = warning;
DELETE FROM orgusers.mailer_keys;
DROP SCHEMA seal_test CASCADE;
