-- The actor, users' directory entries and profiles.  Who can forge an identity: test/t/010_identity.pl.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE regress_ou_app;
CREATE ROLE regress_ou_server;
RESET client_min_messages;
SELECT orgusers.grant_to('regress_ou_app', 'application');
SELECT orgusers.grant_to('regress_ou_server', 'server');

-- What an error's caller sees.
CREATE SCHEMA regress_ou;
GRANT USAGE ON SCHEMA regress_ou TO regress_ou_server;
CREATE FUNCTION regress_ou.try(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    EXECUTE command INTO answer;
    RETURN answer;
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;

-- Directory entries
SET ROLE regress_ou_server;
SELECT orgusers.register_user('ann@example.com', 'Ann', '11111111-1111-4111-8111-111111111111', true, 'de-AT');
SELECT orgusers.register_user('ben@example.com', id => '22222222-2222-4222-8222-222222222222');
SELECT orgusers.register_user('cleo@example.com') IS NOT NULL AS has_new_id;
SELECT command, regress_ou.try(command) AS answer
  FROM (VALUES
    ($$SELECT orgusers.register_user('ANN@example.com')$$),
    ($$SELECT orgusers.register_user('dan@example.com', id => '22222222-2222-4222-8222-222222222222')$$),
    ($$SELECT orgusers.register_user(NULL)$$),
    ($$SELECT orgusers.register_user('not an address')$$),
    ($$SELECT orgusers.register_user('dan@example.com', '')$$),
    ($$SELECT orgusers.register_user('dan@example.com', E'D\tn')$$),
    ($$SELECT orgusers.register_user('dan@example.com', repeat('x', 201))$$),
    ($$SELECT orgusers.register_user('dan@example.com', locale => 'de_AT')$$),
    ($$SELECT orgusers.register_user('dan@example.com', locale => 'en' || repeat('-abcdefgh', 4))$$),
    ($$SELECT orgusers.set_email_verified('22222222-2222-4222-8222-222222222222', 'ann@example.com')$$),
    ($$SELECT orgusers.set_email_verified('99999999-9999-4999-8999-999999999999', 'ann@example.com')$$),
    ($$SELECT orgusers.set_email_verified(NULL, NULL)$$),
    ($$SELECT orgusers.change_email('22222222-2222-4222-8222-222222222222', 'Ann@Example.com')$$),
    ($$SELECT orgusers.change_email('99999999-9999-4999-8999-999999999999', 'eve@example.com')$$),
    ($$SELECT orgusers.change_email('22222222-2222-4222-8222-222222222222', NULL)$$)
  ) AS t(command);
SELECT orgusers.set_email_verified('22222222-2222-4222-8222-222222222222', 'BEN@example.com');
RESET ROLE;
SELECT email, display_name, locale, email_verified_at IS NOT NULL AS verified FROM orgusers.users ORDER BY email;
-- The same address stays proven, another does not.
SELECT orgusers.change_email('22222222-2222-4222-8222-222222222222', 'Ben@Example.com');
SELECT email, email_verified_at IS NOT NULL AS verified FROM orgusers.users WHERE id = '22222222-2222-4222-8222-222222222222';
SELECT orgusers.change_email('22222222-2222-4222-8222-222222222222', 'benjamin@example.com');
SELECT email, email_verified_at IS NOT NULL AS verified FROM orgusers.users WHERE id = '22222222-2222-4222-8222-222222222222';
SELECT orgusers.change_email('22222222-2222-4222-8222-222222222222', 'ben@example.com', true);
SELECT email, email_verified_at IS NOT NULL AS verified FROM orgusers.users WHERE id = '22222222-2222-4222-8222-222222222222';
-- The table itself says the same to its owner.
SELECT command, regress_ou.try(command) AS answer
  FROM (VALUES
    ($$UPDATE orgusers.users SET display_name = ' x'$$),
    ($$UPDATE orgusers.users SET avatar_url = 'javascript:alert(1)'$$),
    ($$UPDATE orgusers.users SET locale = ''$$)
  ) AS t(command);

-- act_as
SET ROLE regress_ou_server;
BEGIN;
SELECT orgusers.current_user_id() IS NULL AS anonymous;
SELECT orgusers.act_as('11111111-1111-4111-8111-111111111111');
SELECT orgusers.current_user_id();
SELECT orgusers.act_as(NULL);
SELECT orgusers.current_user_id() IS NULL AS anonymous;
SELECT orgusers.act_as('11111111-1111-4111-8111-111111111111');
COMMIT;
SELECT orgusers.current_user_id() IS NULL AS anonymous_after_commit, current_setting('orgusers.user_id') = '' AS empty;
SELECT orgusers.act_as('99999999-9999-4999-8999-999999999999');
SELECT orgusers.act_as('not a uuid');
-- For the session; under it, another one for a transaction.
SELECT orgusers.act_as('11111111-1111-4111-8111-111111111111', true);
BEGIN;
SELECT orgusers.act_as('22222222-2222-4222-8222-222222222222');
SELECT orgusers.current_user_id();
COMMIT;
SELECT orgusers.current_user_id();
-- As with SET, a rollback brings the former actor back.
BEGIN;
SELECT orgusers.act_as('22222222-2222-4222-8222-222222222222', true);
SAVEPOINT s;
SELECT orgusers.act_as(NULL, true);
ROLLBACK TO s;
SELECT orgusers.current_user_id();
ROLLBACK;
SELECT orgusers.current_user_id();
-- sign_out ends both, and DISCARD ALL too.
BEGIN;
SELECT orgusers.act_as('22222222-2222-4222-8222-222222222222');
SELECT orgusers.sign_out();
SELECT orgusers.current_user_id() IS NULL AS anonymous;
COMMIT;
SELECT orgusers.current_user_id() IS NULL AS anonymous;
SELECT orgusers.act_as('11111111-1111-4111-8111-111111111111', true);
RESET ROLE;
DISCARD ALL;
SELECT orgusers.current_user_id() IS NULL AS anonymous;
-- Signing out overrides even a value that the DBA gave a role.
BEGIN;
SET orgusers.user_id = '11111111-1111-4111-8111-111111111111';
SET ROLE regress_ou_app;
SELECT orgusers.sign_out();
SELECT orgusers.current_user_id() IS NULL AS anonymous;
COMMIT;
RESET ROLE;
-- Only uuids, and nothing else, can be the setting's value.
SET orgusers.user_id = 'somebody';
SET orgusers.user_id = '{11111111-1111-4111-8111-111111111111}';
SET orgusers.user_id = '11111111111141118111111111111111';
SET orgusers.user_id = '11111111-1111-4111-8111-11111111111g';
SET orgusers.user_id = '1111111-11111-4111-8111-111111111111';
SET orgusers.user_id = '11111111-1111-4111-8111-11111111111-';
SET orgusers.user_id = 'AAAAAAAA-1111-4111-8111-BBBBBBBBBBBB';
SELECT orgusers.current_user_id();
SET orgusers.user_id = '';
SELECT orgusers.current_user_id() IS NULL AS anonymous;
RESET orgusers.user_id;

-- The actor lasts beyond functions whose SET clauses are for something else,
-- and as long as a SET clause for the actor itself.
CREATE FUNCTION regress_ou.pre_request(id uuid) RETURNS void LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET work_mem = '1MB' AS $$
BEGIN
    PERFORM orgusers.act_as(id);
END
$$;
CREATE FUNCTION regress_ou.as_nobody(id uuid) RETURNS uuid LANGUAGE plpgsql
    SET orgusers.user_id = '' AS $$
BEGIN
    PERFORM orgusers.act_as(id);
    RETURN orgusers.current_user_id();
END
$$;
BEGIN;
SELECT regress_ou.pre_request('11111111-1111-4111-8111-111111111111');
SELECT orgusers.current_user_id();
SELECT regress_ou.as_nobody('22222222-2222-4222-8222-222222222222');
SELECT orgusers.current_user_id();
DO $$
BEGIN
    PERFORM orgusers.act_as('22222222-2222-4222-8222-222222222222');
    RAISE EXCEPTION 'undone';
EXCEPTION WHEN raise_exception THEN
    RAISE NOTICE 'actor: %', orgusers.current_user_id();
END
$$;
COMMIT;
SELECT orgusers.current_user_id() IS NULL AS anonymous;

-- A plan made for one actor serves another.
PREPARE who AS SELECT u.email FROM orgusers.users u WHERE u.id = orgusers.current_user_id();
SET plan_cache_mode = force_generic_plan;
BEGIN;
SELECT orgusers.act_as('11111111-1111-4111-8111-111111111111');
EXECUTE who;
SELECT orgusers.act_as('22222222-2222-4222-8222-222222222222');
EXECUTE who;
SELECT orgusers.act_as(NULL);
EXECUTE who;
COMMIT;
RESET plan_cache_mode;
DEALLOCATE who;

-- Profiles
SET ROLE regress_ou_app;
SELECT orgusers.update_profile('Nobody');
SELECT count(*) FROM orgusers.my_profile();
RESET ROLE;
SELECT orgusers.act_as('11111111-1111-4111-8111-111111111111', true);
SET ROLE regress_ou_app;
SELECT orgusers.update_profile('Ann Ardent', 'https://example.com/ann.png', 'en-GB');
SELECT id, email, display_name, avatar_url, locale, email_verified_at IS NOT NULL AS verified FROM orgusers.my_profile();
SELECT orgusers.update_profile(locale => 'fr');
SELECT orgusers.update_profile('', '');
SELECT display_name IS NULL AS no_name, avatar_url IS NULL AS no_avatar, locale FROM orgusers.my_profile();
SELECT orgusers.update_profile(repeat('x', 201));
SELECT orgusers.update_profile(avatar_url => 'javascript:alert(1)');
SELECT orgusers.update_profile(avatar_url => 'https://example.com/' || repeat('x', 2000));
SELECT orgusers.update_profile(locale => '');
RESET ROLE;
SELECT display_name FROM orgusers.users WHERE email = 'ben@example.com';
BEGIN;
DELETE FROM orgusers.users WHERE email = 'ann@example.com';
SELECT orgusers.update_profile('Ghost');
ROLLBACK;
SELECT orgusers.sign_out();

-- Keys
SELECT command, regress_ou.try(command) AS answer
  FROM (VALUES
    ($$SELECT orgusers.add_assertion_key('k', 'EdDSA', decode(repeat('ab', 31), 'hex'), 'app')$$),
    ($$SELECT orgusers.add_assertion_key('k', 'HS256', decode(repeat('ab', 31), 'hex'), 'app')$$),
    ($$SELECT orgusers.add_assertion_key('k', 'HS256', decode(repeat('ab', 1025), 'hex'), 'app')$$),
    ($$SELECT orgusers.add_assertion_key('k', 'none', decode(repeat('ab', 32), 'hex'), 'app')$$),
    ($$SELECT orgusers.add_assertion_key('k', NULL, decode(repeat('ab', 32), 'hex'), 'app')$$),
    ($$SELECT orgusers.add_assertion_key('k', 'HS256', NULL, 'app')$$),
    ($$SELECT orgusers.add_assertion_key('k', 'HS256', decode(repeat('ab', 32), 'hex'), NULL)$$),
    ($$SELECT orgusers.add_assertion_key('k', 'HS256', decode(repeat('ab', 32), 'hex'), 'app', '')$$),
    ($$SELECT orgusers.add_assertion_key('', 'HS256', decode(repeat('ab', 32), 'hex'), 'app')$$),
    ($$SELECT orgusers.add_assertion_key(NULL, 'HS256', decode(repeat('ab', 32), 'hex'), 'app')$$),
    ($$SELECT orgusers.retire_assertion_key('k')$$),
    ($$SELECT orgusers.add_assertion_key('k', 'HS256', decode(repeat('ab', 32), 'hex'), 'app')$$),
    ($$SELECT orgusers.add_assertion_key('k', 'HS256', decode(repeat('ab', 32), 'hex'), 'app')$$),
    ($$SELECT orgusers.retire_assertion_key('k')$$),
    ($$SELECT orgusers.retire_assertion_key('k')$$),
    ($$SELECT orgusers.add_assertion_key('k', 'HS256', decode(repeat('cd', 32), 'hex'), 'app')$$)
  ) AS t(command);
-- No HS256 secret travels in a dump.
SELECT c.condition
  FROM (SELECT unnest(extconfig) AS config, unnest(extcondition) AS condition FROM pg_extension WHERE extname = 'orgusers') c
 WHERE c.config = 'orgusers.assertion_keys'::regclass;

SET client_min_messages = warning;
DROP SCHEMA regress_ou CASCADE;
DELETE FROM orgusers.assertion_keys;
DELETE FROM orgusers.users;
DROP OWNED BY regress_ou_app, regress_ou_server;
DROP ROLE regress_ou_app, regress_ou_server;
