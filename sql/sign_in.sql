-- Signed assertions.  The EdDSA ones are made with the private key of RFC 8037, appendix A.1, and expire in
-- 2100; the HS256 ones are made here.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE regress_ou_app;
RESET client_min_messages;
SELECT orgusers.grant_to('regress_ou_app', 'application');
SELECT orgusers.register_user('ann@example.com', id => '11111111-1111-4111-8111-111111111111');
SELECT orgusers.register_user('ben@example.com', id => '22222222-2222-4222-8222-222222222222');

CREATE SCHEMA regress_ou;
GRANT USAGE ON SCHEMA regress_ou TO regress_ou_app;
SET search_path = regress_ou, public;

CREATE FUNCTION b64(input bytea) RETURNS text LANGUAGE sql IMMUTABLE
    RETURN translate(encode(input, 'base64'), E'+/=\n', '-_');
CREATE FUNCTION b64(input text) RETURNS text LANGUAGE sql IMMUTABLE
    RETURN regress_ou.b64(convert_to(input, 'UTF8'));
CREATE FUNCTION hs256(message bytea, secret bytea) RETURNS bytea LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    key bytea := CASE WHEN length(secret) > 64 THEN sha256(secret) ELSE secret END;
    inner_pad bytea := decode(repeat('36', 64), 'hex');
    outer_pad bytea := decode(repeat('5c', 64), 'hex');
BEGIN
    FOR i IN 0 .. length(key) - 1 LOOP
        inner_pad := set_byte(inner_pad, i, get_byte(key, i) # 54);
        outer_pad := set_byte(outer_pad, i, get_byte(key, i) # 92);
    END LOOP;
    RETURN sha256(outer_pad || sha256(inner_pad || message));
END
$$;
-- RFC 4231, test cases 1 and 6
SELECT hs256('Hi There', decode(repeat('0b', 20), 'hex'));
SELECT hs256('Test Using Larger Than Block-Size Key - Hash Key First', decode(repeat('aa', 131), 'hex'));

CREATE FUNCTION sign(unsigned text, secret bytea) RETURNS text LANGUAGE sql IMMUTABLE
    RETURN unsigned || '.' || regress_ou.b64(regress_ou.hs256(convert_to(unsigned, 'UTF8'), secret));
CREATE FUNCTION secret() RETURNS bytea LANGUAGE sql IMMUTABLE
    RETURN sha256('a secret of 32 bytes');
-- Assertion with these claims, by default under the key hs
CREATE FUNCTION jwt(claims text, header text DEFAULT '{"alg":"HS256","kid":"hs"}', secret bytea DEFAULT regress_ou.secret())
RETURNS text LANGUAGE sql IMMUTABLE
    RETURN regress_ou.sign(regress_ou.b64(header) || '.' || regress_ou.b64(claims), secret);
-- Good claims of Ann's, with others on top
CREATE FUNCTION claims(others jsonb DEFAULT '{}') RETURNS text LANGUAGE sql STABLE
    RETURN jsonb_build_object('sub', '11111111-1111-4111-8111-111111111111', 'aud', 'app',
                              'exp', extract(epoch FROM clock_timestamp()) + 60) || others;
-- What sign_in answers; the identity ends with the call.
CREATE FUNCTION try(assertion text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer uuid;
    problem text;
BEGIN
    answer := orgusers.sign_in(assertion);
    IF answer IS DISTINCT FROM orgusers.current_user_id() THEN
        RAISE 'the actor is another user';
    END IF;
    PERFORM orgusers.sign_out();
    RETURN answer;
EXCEPTION WHEN OTHERS THEN
    IF orgusers.current_user_id() IS NOT NULL THEN
        RAISE;
    END IF;
    GET STACKED DIAGNOSTICS problem = PG_EXCEPTION_DETAIL;
    RETURN concat_ws(' | ', SQLSTATE || ' ' || SQLERRM, nullif(problem, ''));
END
$$;

SELECT orgusers.add_assertion_key('ed', 'EdDSA', '\xd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a', 'app', 'https://id.example');
SELECT orgusers.add_assertion_key('registrar', 'EdDSA', '\xd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a', 'app', registers_users => true);
SELECT orgusers.add_assertion_key('hs', 'HS256', secret(), 'app');
SELECT orgusers.add_assertion_key('hs-issuer', 'HS256', secret(), 'app', 'https://id.example');
SELECT orgusers.add_assertion_key('hs-long', 'HS256', decode(repeat('5a', 100), 'hex'), 'app');
SELECT orgusers.add_assertion_key('hs-registrar', 'HS256', secret(), 'app', registers_users => true);
SELECT orgusers.add_assertion_key('hs-retired', 'HS256', secret(), 'app');
SELECT orgusers.retire_assertion_key('hs-retired');
SELECT orgusers.add_assertion_key('weak', 'EdDSA', decode(repeat('00', 32), 'hex'), 'app');

-- The role that tries has no more than an application's.
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA regress_ou TO regress_ou_app;
SET ROLE regress_ou_app;

\set good 'eyJhbGciOiJFZERTQSIsImtpZCI6ImVkIn0.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJzdWIiOiIxMTExMTExMS0xMTExLTQxMTEtODExMS0xMTExMTExMTExMTEiLCJhdWQiOiJhcHAiLCJleHAiOjQxMDI0NDQ4MDB9.bIW1KJTnmSg-wXqZDX5To8RQN1SgBfzCO15fTYtqSl5k-OmhObOg8thcBKBB0Z71ZYvZBbaVTPf8_pENRQ21AQ'
\set by_other_key 'eyJhbGciOiJFZERTQSIsImtpZCI6ImVkIn0.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJzdWIiOiIxMTExMTExMS0xMTExLTQxMTEtODExMS0xMTExMTExMTExMTEiLCJhdWQiOiJhcHAiLCJleHAiOjQxMDI0NDQ4MDB9.Re_GdNZaXrXUVZe8I97VZW5hF-ba2AJkEp9Zh1GY7fl1WIGBu4jl0ZUpQqD-5KgAq-qJ73oxukQWE01B7zucDg'
\set other_alg 'eyJhbGciOiJIUzI1NiIsImtpZCI6ImVkIn0.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJzdWIiOiIxMTExMTExMS0xMTExLTQxMTEtODExMS0xMTExMTExMTExMTEiLCJhdWQiOiJhcHAiLCJleHAiOjQxMDI0NDQ4MDB9.mgHe4ljCxkvRr8Zq7UtEVN-XQIy6v88IXVVnnVOeZprFHCo-MJg8QNvZrlFDECl15Q6vzljyGEe_Mwtj6pTMCA'
\set expired 'eyJhbGciOiJFZERTQSIsImtpZCI6ImVkIn0.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJzdWIiOiIxMTExMTExMS0xMTExLTQxMTEtODExMS0xMTExMTExMTExMTEiLCJhdWQiOiJhcHAiLCJleHAiOjE3MDAwMDAwMDB9.AW8OmgRDU1X1RNbrS53gCXZKOhwul44IvWXbXqfQ3zneJ3x4i29chGexC7W4chYAjEEOY1tmAh39yI_5FUiOBQ'
\set registers 'eyJhbGciOiJFZERTQSIsImtpZCI6InJlZ2lzdHJhciJ9.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJzdWIiOiIzMzMzMzMzMy0zMzMzLTQzMzMtODMzMy0zMzMzMzMzMzMzMzMiLCJhdWQiOiJhcHAiLCJleHAiOjQxMDI0NDQ4MDAsImVtYWlsIjoiQ2xlb0BleGFtcGxlLmNvbSIsImVtYWlsX3ZlcmlmaWVkIjp0cnVlLCJuYW1lIjoiQ2xlbyIsImxvY2FsZSI6InB0LUJSIn0.9xMwKNm5fuLl6elLGgUxP8FNJaXR5V_MWeuUiveE6dBHeAeqggcNJx2mTMuKFAyVEU837pXOrGOw4ALvP6rlDA'

-- F5: what is signed is accepted,
SELECT label, try(assertion) AS answer
  FROM (VALUES
    ('EdDSA', :'good'),
    ('HS256', jwt(claims())),
    ('HS256 with a long key', jwt(claims(), '{"alg":"HS256","kid":"hs-long"}', decode(repeat('5a', 100), 'hex'))),
    ('audience among others', jwt(claims('{"aud":["web","app"]}'))),
    ('issuer', jwt(claims('{"iss":"https://id.example"}'), '{"alg":"HS256","kid":"hs-issuer"}')),
    ('issuer that nobody asked for', jwt(claims('{"iss":"https://other.example"}'))),
    ('whole second', jwt(claims('{"exp":4102444800}'))),
    ('exponent', jwt('{"sub":"11111111-1111-4111-8111-111111111111","aud":"app","exp":4.1e9}')),
    ('nbf reached', jwt(claims('{"nbf":1.5}'))),
    ('another user', jwt(claims('{"sub":"22222222-2222-4222-8222-222222222222"}'))),
    ('further claims and members', jwt(claims('{"groups":[["a"],{"aud":"x"}],"o":{"sub":1},"n":null}'), '{"typ":"JWT","alg":"HS256","kid":"hs","x":[{}]}')),
    ('escapes', jwt(replace(claims(), '"sub"', '"\u0073ub"'))),
    ('unused claims null', jwt(claims('{"email":null,"name":null,"locale":null,"email_verified":"x"}')))
  ) AS t(label, assertion);

-- F5: and nothing else is.
SELECT label, try(assertion) AS answer
  FROM (VALUES
    ('null', NULL),
    ('empty', ''),
    ('one part', 'abc'),
    ('two parts', 'abc.def'),
    ('two dots', '..'),
    ('no header', regexp_replace(:'good', '^[^.]*', '')),
    ('no claims', regexp_replace(:'good', '\..*\.', '..')),
    ('no signature', regexp_replace(:'good', '[^.]*$', '')),
    ('four parts', :'good' || '.abc'),
    ('trailing dot', :'good' || '.'),
    ('bad base64 digit', replace(:'good', 'e', '*')),
    ('other alphabet', regexp_replace(:'good', '[-_]', '+')),
    ('padding', :'good' || '=='),
    ('digits beyond ASCII', overlay(:'good' PLACING E'\u00e9' FROM length(:'good') - 10 FOR 2)),
    ('blank in front', ' ' || :'good'),
    ('line break behind', :'good' || E'\n'),
    ('surplus bits', regexp_replace(:'good', 'Q$', 'R')),
    ('single digit left over', sign(b64('{"alg":"HS256","kid":"hs"}') || '.' || b64(claims()) || 'A', secret())),
    ('8 KiB and a byte', repeat('x', 8193)),
    ('9 KiB, well formed', jwt(claims(jsonb_build_object('x', repeat('x', 6900))))),
    ('megabytes', repeat('x.', 1000000)),
    ('header not JSON', jwt(claims(), '{"alg":"HS256","kid":"hs"')),
    ('header empty JSON', jwt(claims(), ' ')),
    ('header a string', jwt(claims(), '"HS256"')),
    ('header null', jwt(claims(), 'null')),
    ('header an array', jwt(claims(), '[{"alg":"HS256","kid":"hs"}]')),
    ('header deep', jwt('{}', repeat('[', 5500))),
    ('header not UTF-8', sign(b64('\x7b22616c67223aff7d'::bytea) || '.' || b64(claims()), secret())),
    ('header with a zero byte', sign(b64('\x7b7d00'::bytea) || '.' || b64(claims()), secret())),
    ('header twice alg', jwt(claims(), '{"alg":"none","kid":"hs","alg":"HS256"}')),
    ('header twice alg by escape', jwt(claims(), '{"alg":"HS256","kid":"hs","\u0061lg":"HS256"}')),
    ('header of 65 members', jwt(claims(), (SELECT jsonb_object_agg('m' || i, i)::text FROM generate_series(1, 65) i))),
    ('no alg', jwt(claims(), '{"kid":"hs"}')),
    ('no kid', jwt(claims(), '{"alg":"HS256"}')),
    ('kid a number', jwt(claims(), '{"alg":"HS256","kid":1}')),
    ('alg an array', jwt(claims(), '{"alg":["HS256"],"kid":"hs"}')),
    ('crit', jwt(claims(), '{"alg":"HS256","kid":"hs","crit":["exp"],"exp":1}')),
    ('crit empty', jwt(claims(), '{"alg":"HS256","kid":"hs","crit":[]}'))
  ) AS t(label, assertion);
SELECT label, try(assertion) AS answer
  FROM (VALUES
    ('alg none', b64('{"alg":"none","kid":"hs"}') || '.' || b64(claims()) || '.AA'),
    ('alg none, signed', jwt(claims(), '{"alg":"none","kid":"hs"}')),
    ('alg in small letters', jwt(claims(), '{"alg":"hs256","kid":"hs"}')),
    ('HS512', jwt(claims(), '{"alg":"HS512","kid":"hs"}')),
    ('public key as HS256 secret', jwt(claims('{"iss":"https://id.example"}'), '{"alg":"HS256","kid":"ed"}', '\xd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a')),
    ('EdDSA signature under HS256', :'other_alg'),
    ('HS256 under EdDSA', jwt(claims(), '{"alg":"EdDSA","kid":"hs"}')),
    ('HS256 by another secret', jwt(claims(), secret => sha256('another'))),
    ('EdDSA by another key', :'by_other_key'),
    ('unknown kid', jwt(claims(), '{"alg":"HS256","kid":"HS"}')),
    ('empty kid', jwt(claims(), '{"alg":"HS256","kid":""}')),
    ('kid with a quote', jwt(claims(), '{"alg":"HS256","kid":"'' OR true --"}')),
    ('retired key', jwt(claims(), '{"alg":"HS256","kid":"hs-retired"}')),
    ('low-order key', b64('{"alg":"EdDSA","kid":"weak"}') || '.' || b64(claims()) || '.' || b64(decode('01' || repeat('00', 63), 'hex'))),
    ('claims changed', regexp_replace(:'good', '\.[^.]*\.', '.' || b64(claims('{"iss":"https://id.example","sub":"22222222-2222-4222-8222-222222222222"}')) || '.')),
    ('header changed', regexp_replace(:'good', '^[^.]*', b64('{"kid":"ed","alg":"EdDSA"}'))),
    ('signature changed', regexp_replace(:'good', '\.b', '.c')),
    ('short signature', regexp_replace(:'good', '.{4}$', '')),
    ('long signature', regexp_replace(:'good', '\.b', '.AAAAb')),
    ('short HS256 signature', regexp_replace(jwt(claims()), '\.[^.]*$', '.AA')),
    ('bad claims, unsigned', regexp_replace(jwt('{'), '\.[^.]*$', '.AA'))
  ) AS t(label, assertion);
SELECT label, try(assertion) AS answer
  FROM (VALUES
    ('claims not JSON', jwt(left(claims(), -1))),
    ('claims and more', jwt(claims() || '{}')),
    ('claims an array', jwt('[]')),
    ('claims a number', jwt('1')),
    ('claims not UTF-8', sign(b64('{"alg":"HS256","kid":"hs"}') || '.' || b64('\x7b22ff223a317d'::bytea), secret())),
    ('claims twice sub', jwt('{"sub":"22222222-2222-4222-8222-222222222222",' || substr(claims(), 2))),
    ('zero in a string', jwt(replace(claims(), '"app"', '"app\u0000"'))),
    ('lone surrogate', jwt(replace(claims(), '"app"', '"app\ud800"'))),
    ('65 claims', jwt(claims((SELECT jsonb_object_agg('m' || i, i) FROM generate_series(1, 62) i)))),
    ('65 audiences', jwt(claims(jsonb_build_object('aud', (SELECT jsonb_agg('app'::text) FROM generate_series(1, 65)))))),
    ('no sub', jwt('{"aud":"app","exp":4102444800}')),
    ('sub a number', jwt(claims('{"sub":1}'))),
    ('sub not a uuid', jwt(claims('{"sub":"ann"}'))),
    ('sub without dashes', jwt(claims('{"sub":"11111111111141118111111111111111"}'))),
    ('sub an array', jwt(claims('{"sub":["11111111-1111-4111-8111-111111111111"]}'))),
    ('no exp', jwt('{"sub":"11111111-1111-4111-8111-111111111111","aud":"app"}')),
    ('exp null', jwt(claims('{"exp":null}'))),
    ('exp a string', jwt(claims('{"exp":"4102444800"}'))),
    ('exp negative', jwt(claims('{"exp":-1}'))),
    ('exp in milliseconds', jwt(claims('{"exp":4102444800000}'))),
    ('exp huge', jwt('{"sub":"11111111-1111-4111-8111-111111111111","aud":"app","exp":1e400}')),
    ('nbf a string', jwt(claims('{"nbf":"now"}'))),
    ('nbf null', jwt(claims('{"nbf":null}'))),
    ('iss a number', jwt(claims('{"iss":1}'))),
    ('aud an object', jwt(claims('{"aud":{"app":true}}'))),
    ('aud null', jwt(claims('{"aud":null}'))),
    ('aud of numbers', jwt(claims('{"aud":["app",1]}'))),
    ('aud of arrays', jwt(claims('{"aud":[["app"]]}'))),
    ('name a number', jwt(claims('{"name":1}'))),
    ('expired', jwt(claims('{"exp":1700000000}'))),
    ('expired, EdDSA', :'expired'),
    ('exp zero', jwt(claims('{"exp":0}'))),
    ('nbf in the future', jwt(claims('{"nbf":4102444800}'))),
    ('no aud', jwt('{"sub":"11111111-1111-4111-8111-111111111111","exp":4102444800}')),
    ('aud empty', jwt(claims('{"aud":[]}'))),
    ('another aud', jwt(claims('{"aud":"application"}'))),
    ('other auds', jwt(claims('{"aud":["ap","app "]}'))),
    ('no iss', jwt(claims(), '{"alg":"HS256","kid":"hs-issuer"}')),
    ('another iss', jwt(claims('{"iss":"https://id.example/"}'), '{"alg":"HS256","kid":"hs-issuer"}')),
    ('unknown user', jwt(claims('{"sub":"99999999-9999-4999-8999-999999999999"}'))),
    ('unknown user, key that does not register', jwt(claims('{"sub":"99999999-9999-4999-8999-999999999999","email":"x@example.com","email_verified":true}'))),
    ('unknown user, no address', jwt(claims('{"sub":"99999999-9999-4999-8999-999999999999","email_verified":true}'), '{"alg":"HS256","kid":"hs-registrar"}'))
  ) AS t(label, assertion);

-- F5: every single changed character of an assertion is noticed.
SELECT count(*) FILTER (WHERE answer ~ '^OU00[34] ') = length(:'good') AS all_refused
  FROM (SELECT try(overlay(:'good' PLACING CASE substr(:'good', i, 1) WHEN 'A' THEN 'B' ELSE 'A' END FROM i)) AS answer
          FROM generate_series(1, length(:'good')) AS i) AS t;
-- So is every piece of it.
SELECT count(*) FILTER (WHERE answer ~ '^OU00[34] ') = length(:'good') AS all_refused
  FROM (SELECT try(left(:'good', i)) AS answer FROM generate_series(0, length(:'good') - 1) AS i) AS t;

-- How long it lasts: the transaction, or the session.
BEGIN;
SELECT orgusers.sign_in(:'good');
SELECT orgusers.current_user_id();
COMMIT;
SELECT orgusers.current_user_id() IS NULL AS anonymous;
BEGIN;
SAVEPOINT s;
SELECT orgusers.sign_in(:'good', true);
ROLLBACK TO s;
SELECT orgusers.current_user_id() IS NULL AS anonymous;
SELECT orgusers.sign_in(:'good', true);
COMMIT;
SELECT orgusers.current_user_id();
-- A refused assertion leaves the actor as it was.
SELECT orgusers.sign_in('x');
SELECT orgusers.current_user_id();
SELECT orgusers.sign_out();
SELECT orgusers.current_user_id() IS NULL AS anonymous;
SELECT orgusers.sign_in(:'good', NULL);
SELECT orgusers.current_user_id() IS NULL AS anonymous;
-- The clock counts, not the transaction's time.
BEGIN;
SELECT try(jwt(claims(jsonb_build_object('exp', extract(epoch FROM now()) + 1.5)))) = '11111111-1111-4111-8111-111111111111' AS good;
SELECT pg_sleep(1.6) IS NOT NULL AS slept;
SELECT try(jwt(claims(jsonb_build_object('exp', extract(epoch FROM now()) + 1.5)))) AS late;
COMMIT;

-- Keys that register users
SELECT try(:'registers');
SELECT try(:'registers');
RESET ROLE;
SELECT id, email, display_name, locale, email_verified_at IS NOT NULL AS verified FROM orgusers.users ORDER BY id;
SET ROLE regress_ou_app;
SELECT label, try(jwt(claims(others), '{"alg":"HS256","kid":"hs-registrar"}')) AS answer
  FROM (VALUES
    ('address of another', '{"sub":"44444444-4444-4444-8444-444444444444","email":"ANN@example.com","email_verified":true}'::jsonb),
    ('bad address', '{"sub":"44444444-4444-4444-8444-444444444444","email":"nowhere"}'),
    ('bad name', '{"sub":"44444444-4444-4444-8444-444444444444","email":"d@example.com","name":"D\ta"}'),
    ('bad locale', '{"sub":"44444444-4444-4444-8444-444444444444","email":"d@example.com","locale":"!"}'),
    ('unproven', '{"sub":"44444444-4444-4444-8444-444444444444","email":"dan@example.com","email_verified":"true","name":" Dan "}'),
    ('proof of another address', '{"sub":"44444444-4444-4444-8444-444444444444","email":"eve@example.com","email_verified":true}'),
    ('proof of a user''s address', '{"sub":"44444444-4444-4444-8444-444444444444","email":"ben@example.com","email_verified":true}'),
    ('no proof', '{"email":"ann@example.com","email_verified":1,"name":"Mallory"}')
  ) AS t(label, others);
RESET ROLE;
SELECT id, email, display_name, locale, email_verified_at IS NOT NULL AS verified FROM orgusers.users ORDER BY id;
SET ROLE regress_ou_app;
SELECT try(jwt(claims('{"email":"Ann@Example.com","email_verified":true,"name":"Mallory","locale":"xx"}'), '{"alg":"HS256","kid":"hs-registrar"}'));
RESET ROLE;
SELECT id, email, display_name, locale, email_verified_at IS NOT NULL AS verified FROM orgusers.users ORDER BY id;
-- Nothing is written when nothing is new, so that a standby can do it.
SET ROLE regress_ou_app;
BEGIN READ ONLY;
SELECT try(:'registers');
SELECT try(:'good');
SELECT orgusers.sign_in(jwt(claims('{"sub":"55555555-5555-4555-8555-555555555555","email":"fay@example.com"}'), '{"alg":"HS256","kid":"hs-registrar"}'));
ROLLBACK;

-- Untrusted roles have sign_in and nothing around it.
SELECT orgusers.act_as('11111111-1111-4111-8111-111111111111');
SELECT count(*) FROM orgusers.assertion_keys;
UPDATE orgusers.users SET email = 'mallory@example.com';
INSERT INTO orgusers.users (email) VALUES ('mallory@example.com');
SELECT orgusers.user_from_claims('55555555-5555-4555-8555-555555555555', 'fay@example.com', true, NULL, NULL);
SELECT orgusers.add_assertion_key('mine', 'HS256', secret(), 'app');
SELECT orgusers.retire_assertion_key('ed');
SELECT orgusers.register_user('fay@example.com');
SELECT orgusers.set_email_verified('22222222-2222-4222-8222-222222222222', 'ben@example.com');
SELECT orgusers.change_email('22222222-2222-4222-8222-222222222222', 'fay@example.com');

RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA regress_ou CASCADE;
DELETE FROM orgusers.assertion_keys;
DELETE FROM orgusers.users;
DROP OWNED BY regress_ou_app;
DROP ROLE regress_ou_app;
