-- What a role with the audience application, that may also make objects of its own, tries with SQL.
BEGIN;
\ir setup.psql
SELECT no_plan();

SELECT orgusers.register_permission('docs.read', 'Read documents');
INSERT INTO orgusers.role_template_permissions VALUES ('plans_and_groups', 'admin', 'docs.read'), ('plans_and_groups', 'user', 'docs.read');
SELECT act('ann');
SELECT orgusers.create_organization('Acme', 'plans_and_groups') AS acme \gset
SELECT orgusers.set_plan(:'acme', 'paid', person('ann'));
SELECT enlist('Acme', 'bob');
SELECT orgusers.invite_user(:'acme', 'una@example.org', first_name => 'Una', last_name => 'Ours');
SELECT act('eve');
SELECT orgusers.create_organization('Other', 'plans_and_groups') AS other \gset
SELECT orgusers.set_plan(:'other', 'paid', person('eve'));
SELECT enlist('Other', 'fay');
SELECT orgusers.create_group(:'other', 'theirs');
SELECT orgusers.create_space(:'other', 'theirs');
SELECT orgusers.invite_user(:'other', 'gus@example.org', first_name => 'Gus', last_name => 'Theirs');
CREATE ROLE regress_ou_second;
SELECT orgusers.grant_to('regress_ou_second', 'application');
CREATE SCHEMA hostile AUTHORIZATION regress_ou_app;
GRANT USAGE ON SCHEMA hostile TO regress_ou_second;

-- Functions that are not meant to be called, called by their owner
CREATE FUNCTION pg_temp.answer(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    EXECUTE statement INTO answer;
    RETURN coalesce(answer, 'NULL');
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;
SELECT is(pg_temp.answer(format('SELECT orgusers.%I()', p.proname)),
        CASE WHEN p.prolang = (SELECT oid FROM pg_language WHERE lanname = 'c') THEN '39P01' ELSE '0A000' END, p.proname || ' is no trigger''s call')
    FROM pg_proc p WHERE p.pronamespace = 'orgusers'::regnamespace AND p.prorettype = 'trigger'::regtype ORDER BY p.proname;
-- Releases of PostgreSQL refuse a value of the type internal in one way or another.
SELECT matches(pg_temp.answer(format('SELECT orgusers.%I(%s)', p.proname, (SELECT string_agg('NULL::' || t::regtype, ', ') FROM unnest(p.proargtypes) t))),
        CASE WHEN 'internal'::regtype = ANY (p.proargtypes::oid[]) THEN '^(42846|0A000)$' ELSE '^NULL$' END, p.oid::regprocedure || ' of NULLs')
    FROM pg_proc p WHERE p.pronamespace = 'orgusers'::regnamespace AND p.proargtypes::oid[] && ARRAY['internal', 'cstring']::regtype[]::oid[] ORDER BY p.oid::regprocedure::text;
-- Triggers of the extension on a table that has nothing of what they are about
CREATE TABLE pg_temp.odd (x int);
SELECT matches(pg_temp.answer(format('CREATE TRIGGER odd %s ON pg_temp.odd FOR EACH %s EXECUTE FUNCTION orgusers.%I(%s); INSERT INTO pg_temp.odd VALUES (1); UPDATE pg_temp.odd SET x = 2; DELETE FROM pg_temp.odd; TRUNCATE pg_temp.odd; DROP TRIGGER odd ON pg_temp.odd',
            moment, CASE WHEN moment LIKE '%TRUNCATE%' OR every = 'STATEMENT' THEN 'STATEMENT' ELSE 'ROW' END, p.proname, args)),
        '^(NULL|[0-9A-Z]{5})$', format('%s(%s), %s for each %s', p.proname, args, moment, every))
    FROM pg_proc p, unnest(ARRAY['BEFORE INSERT OR UPDATE OR DELETE', 'AFTER INSERT OR UPDATE OR DELETE', 'BEFORE TRUNCATE', 'AFTER TRUNCATE']) moment,
         unnest(ARRAY['ROW', 'STATEMENT']) every, unnest(ARRAY['', 'org_id']) args
    WHERE p.pronamespace = 'orgusers'::regnamespace AND p.prorettype = 'trigger'::regtype AND p.prolang = (SELECT oid FROM pg_language WHERE lanname = 'c')
    ORDER BY p.proname, moment, every, args;

SET LOCAL SESSION AUTHORIZATION regress_ou_app;
SET LOCAL search_path = hostile, public;
SELECT act('bob');
SELECT results_eq('SELECT name FROM orgusers.organizations', $$VALUES ('Acme'::text)$$, 'bob is a user of Acme');

-- Objects that point at the extension's
CREATE TABLE mine (id uuid, org_id uuid, email orgusers.email);
CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
SELECT throws_ok(s, '42501', NULL, 'refused: ' || s) FROM unnest(ARRAY[
    'CREATE TRIGGER t AFTER INSERT ON orgusers.users FOR EACH ROW EXECUTE FUNCTION noted()',
    'CREATE RULE r AS ON INSERT TO orgusers.users DO ALSO NOTHING',
    'CREATE TABLE child () INHERITS (orgusers.users)',
    'ALTER TABLE mine INHERIT orgusers.users',
    'CREATE TABLE child (user_id uuid REFERENCES orgusers.users)',
    'ALTER TABLE mine ADD FOREIGN KEY (org_id) REFERENCES orgusers.organizations',
    'CREATE INDEX ON orgusers.users (display_name)',
    'CREATE STATISTICS s ON id, email FROM orgusers.users',
    'CREATE POLICY mine ON orgusers.users USING (true)',
    'ALTER POLICY seen ON orgusers.users USING (true)',
    'ALTER TABLE orgusers.users OWNER TO regress_ou_app',
    'ALTER TABLE orgusers.users ALTER display_name SET STATISTICS 100',
    'CREATE OR REPLACE FUNCTION orgusers.version() RETURNS text LANGUAGE sql RETURN 1',
    'ALTER FUNCTION orgusers.can(uuid, text) LEAKPROOF',
    'ALTER FUNCTION orgusers.can(uuid, text) COST 1000000',
    'CREATE FUNCTION orgusers.mine() RETURNS int LANGUAGE sql RETURN 1',
    'CREATE OPERATOR orgusers.=== (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq)',
    'CREATE OPERATOR pg_catalog.=== (LEFTARG = orgusers.email, RIGHTARG = orgusers.email, FUNCTION = orgusers.email_eq)',
    'CREATE OPERATOR CLASS mine DEFAULT FOR TYPE orgusers.invitation_token USING hash AS STORAGE orgusers.invitation_token',
    'CREATE CAST (orgusers.email AS uuid) WITH INOUT AS IMPLICIT',
    'CREATE CAST (text AS orgusers.invitation_token) WITH INOUT AS IMPLICIT',
    'DROP CAST (text AS orgusers.email)',
    'CREATE FUNCTION lp(text) RETURNS boolean LANGUAGE sql LEAKPROOF RETURN true',
    'CREATE FUNCTION c() RETURNS int LANGUAGE c AS ''orgusers'', ''orgusers_act_as''',
    'CREATE FUNCTION i() RETURNS int LANGUAGE internal AS ''textin''',
    'CREATE EVENT TRIGGER e ON ddl_command_start EXECUTE FUNCTION noted()',
    'CREATE PUBLICATION p FOR TABLE orgusers.users',
    'ALTER EXTENSION orgusers DROP TABLE orgusers.users', 'ALTER EXTENSION orgusers ADD FUNCTION noted()', 'DROP EXTENSION orgusers CASCADE',
    'COMMENT ON TABLE orgusers.users IS ''mine''', 'REINDEX TABLE orgusers.users', 'CLUSTER orgusers.users USING users_pkey',
    'LOCK TABLE orgusers.users IN ROW EXCLUSIVE MODE', 'LOCK TABLE orgusers.mail_outbox IN ACCESS SHARE MODE',
    'COPY orgusers.users FROM PROGRAM ''true''', 'COPY orgusers.organizations TO PROGRAM ''true''', 'COPY orgusers.organizations TO ''/dev/null''',
    'CREATE TRIGGER t AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION orgusers.rights_changed()',
    'CREATE TRIGGER t AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION orgusers.audit_row()',
    'CREATE TRIGGER t BEFORE INSERT ON mine FOR EACH ROW EXECUTE FUNCTION orgusers.set_root()',
    'CREATE TABLE proxy OF orgusers.rights_shared', 'CREATE FUNCTION proxy(orgusers.rights_user_0) RETURNS int LANGUAGE sql RETURN 1',
    'SET ROLE regress_ou_server', 'ALTER ROLE regress_ou_app BYPASSRLS', 'GRANT regress_ou_server TO regress_ou_app',
    'ALTER DEFAULT PRIVILEGES FOR ROLE regress_ou_server GRANT ALL ON TABLES TO regress_ou_app', 'REASSIGN OWNED BY regress_ou_server TO regress_ou_app',
    'SELECT lo_import(''/etc/passwd'')', 'SELECT pg_read_file(''PG_VERSION'')']) s;
SELECT lives_ok($$GRANT SELECT ON orgusers.users TO regress_ou_nobody$$, 'a grant of what one cannot grant');
SELECT is(has_table_privilege('regress_ou_nobody', 'orgusers.users', 'SELECT'), false, 'grants nothing');

-- Objects of the same names, found first
CREATE FUNCTION always(orgusers.email, orgusers.email) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'ZZ666'; END $$;
CREATE OPERATOR hostile.= (LEFTARG = orgusers.email, RIGHTARG = orgusers.email, FUNCTION = always);
SELECT throws_ok($$SELECT count(*) FROM orgusers.users WHERE email OPERATOR(hostile.=) 'ann@example.org'$$, 'ZZ666', NULL, 'an operator of one''s own on the extension''s type is one''s own query''s');

-- Functions that tell what they see, in every place of a query: only rows that the policies let through.
CREATE TABLE told (what text);
CREATE FUNCTION tell(what text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN INSERT INTO hostile.told VALUES (what); RETURN true; END $$;
CREATE FUNCTION tell_both(a text, b text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN INSERT INTO hostile.told VALUES (a), (b); RETURN true; END $$;
CREATE OPERATOR hostile.<~> (LEFTARG = text, RIGHTARG = text, FUNCTION = tell_both, RESTRICT = eqsel, JOIN = eqjoinsel);
CREATE VIEW through AS SELECT t.* FROM orgusers.users t;
CREATE VIEW barrier WITH (security_barrier) AS SELECT t.* FROM orgusers.users t;
CREATE FUNCTION tell_definer() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS $$ SELECT count(*) FROM orgusers.users u WHERE hostile.tell(u.email::text) $$;
GRANT SELECT ON through, barrier TO regress_ou_second;
CREATE FUNCTION what_is_told(query text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM hostile.told;
    EXECUTE query;
    RETURN (SELECT coalesce(string_agg(DISTINCT t.what, ' ' ORDER BY t.what), '') FROM hostile.told t);
END $$;
SELECT act('ann');
SELECT is(what_is_told(q), 'ann@example.org bob@example.org', 'told of users by: ' || q) FROM unnest(ARRAY[
    'SELECT FROM orgusers.users WHERE tell(email::text)',
    'SELECT FROM orgusers.users WHERE NOT tell(email::text) OR false',
    'SELECT FROM orgusers.users WHERE email::text <~> ''bob@example.org''',
    'SELECT FROM orgusers.users WHERE CASE WHEN tell(email::text) THEN true END',
    'SELECT FROM orgusers.users ORDER BY tell(email::text)',
    'SELECT tell(email::text) FROM orgusers.users GROUP BY 1',
    'SELECT count(*) FILTER (WHERE tell(email::text)) FROM orgusers.users',
    'SELECT tell(email::text) FROM orgusers.users OFFSET 0',
    'SELECT FROM orgusers.users LIMIT (SELECT count(tell(email::text)) FROM orgusers.users)',
    'SELECT row_number() OVER (PARTITION BY tell(email::text)) FROM orgusers.users',
    'SELECT FROM orgusers.users u JOIN orgusers.memberships m ON m.user_id = u.id AND tell(u.email::text)',
    'SELECT FROM orgusers.users u LEFT JOIN orgusers.memberships m ON tell(u.email::text)',
    'SELECT FROM orgusers.memberships m RIGHT JOIN orgusers.users u ON tell(u.email::text) AND m.user_id = u.id',
    'SELECT FROM generate_series(1, 2) n JOIN orgusers.users u ON n > 0 AND tell(u.email::text)',
    'SELECT FROM generate_series(1, 2) n, LATERAL (SELECT FROM orgusers.users u WHERE tell(u.email::text)) l',
    'SELECT FROM orgusers.memberships m WHERE EXISTS (SELECT FROM orgusers.users u WHERE u.id = m.user_id AND tell(u.email::text))',
    'SELECT FROM through WHERE tell(email::text)', 'SELECT FROM barrier WHERE tell(email::text)',
    'SELECT tell_definer()',
    'WITH w AS (SELECT FROM orgusers.users WHERE tell(email::text)) SELECT FROM w',
    'SELECT email FROM orgusers.users WHERE tell(email::text) UNION SELECT email FROM orgusers.users',
    'CREATE TABLE copied AS SELECT * FROM orgusers.users WHERE tell(email::text)',
    'INSERT INTO mine SELECT id, NULL, email FROM orgusers.users WHERE tell(email::text)',
    'DELETE FROM mine USING orgusers.users u WHERE tell(u.email::text) AND mine.id IS NULL',
    'UPDATE mine SET email = u.email FROM orgusers.users u WHERE tell(u.email::text)']) q;
SELECT is(what_is_told(format('SELECT FROM orgusers.%I t WHERE hostile.tell(%s)', t, shown)), expected, 'told of ' || t) FROM (VALUES
    ('organizations', 't.name', 'Acme'), ('groups', 't.name', ''), ('spaces', 't.name', ''), ('memberships', 't.org_id::text', :'acme'),
    ('membership_roles', 't.org_id::text', :'acme'), ('roles', 't.org_id::text', :'acme'), ('invitations', 't.email::text', 'una@example.org'), ('audit_log', 't.org_id::text', :'acme'),
    ('subscriptions', 't.org_id::text', :'acme'), ('current_organizations', 't.org_id::text', '')) AS v (t, shown, expected);
-- The same by another role through views and functions of the first, for whoever acts
SET LOCAL SESSION AUTHORIZATION regress_ou_second;
SELECT act('eve');
SELECT results_eq('SELECT email::text FROM hostile.through ORDER BY 1', $$VALUES ('eve@example.org'::text), ('fay@example.org')$$, 'a view of somebody else shows what the actor may see');
SELECT act(NULL);
SELECT is_empty('TABLE hostile.through', 'and nobody nothing');
SELECT is_empty('TABLE hostile.barrier', 'whatever kind of view it is');
SET LOCAL SESSION AUTHORIZATION regress_ou_app;
SELECT act(NULL);
SELECT is(what_is_told(q), '', 'nobody is told anything by: ' || q) FROM unnest(ARRAY[
    'SELECT FROM orgusers.users WHERE tell(email::text)', 'SELECT FROM orgusers.organizations WHERE tell(name)', 'SELECT FROM orgusers.invitations WHERE tell(email::text)', 'SELECT tell_definer()']) q;
SELECT act('bob');

-- Estimates: EXPLAIN says the same of addresses that are there and of those that are not, whatever ANALYZE has seen.
SELECT as_owner(s) FROM unnest(ARRAY[
    $$INSERT INTO orgusers.users (email, display_name) SELECT (md5(n::text) || '@example.com')::orgusers.email, md5(n::text) FROM generate_series(1, 300) n$$,
    $$INSERT INTO orgusers.organizations (name, external_id, policy) SELECT 'Org ' || md5(n::text), md5(n::text), 'plans_and_groups' FROM generate_series(1, 300) n$$,
    'ANALYZE orgusers.users, orgusers.organizations, orgusers.groups, orgusers.spaces, orgusers.roles, orgusers.invitations, orgusers.join_domains']) s;
CREATE FUNCTION estimate(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
    RETURN plan #>> '{0,Plan,Plan Rows}';
END $$;
SELECT is(count(DISTINCT estimate(format('SELECT FROM orgusers.%I WHERE %I %s %L', t, c, op, lpad(to_hex(n), 2, '0') || suffix)))::int, 1, format('the estimate for %s.%s %s does not depend on the value', t, c, op))
    FROM (VALUES ('users', 'email', '@example.com'), ('users', 'display_name', ''), ('organizations', 'name', ''), ('organizations', 'external_id', '')) AS v (t, c, suffix),
         unnest(ARRAY['<', '<=', '>', '>=', '=', '<>']) op, generate_series(0, 255, 16) n
    GROUP BY t, c, op ORDER BY t, c, op;
SELECT is_empty($$SELECT tablename, attname FROM pg_stats WHERE schemaname = 'orgusers' AND tablename NOT IN
    ('policies', 'plans', 'permissions', 'role_templates', 'role_template_permissions', 'role_template_grants', 'base_permissions')$$, 'pg_stats shows nothing of the tables under policies');
SELECT is_empty($$SELECT statistics_name FROM pg_stats_ext WHERE schemaname = 'orgusers'$$, 'nor does pg_stats_ext');
RESET SESSION AUTHORIZATION;
-- Ids can be found so, and tell nothing else; what is listed here says nothing of anybody.
SELECT set_eq($$SELECT format('%s.%s', c.relname, a.attname) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        WHERE c.relnamespace = 'orgusers'::regnamespace AND c.relkind = 'r' AND c.relrowsecurity AND has_column_privilege('regress_ou_app', c.oid, a.attnum, 'SELECT')
          AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid IN ('text'::regtype, 'name'::regtype) AND coalesce(a.attstattarget, -1) <> 0$$,
    ARRAY['users.locale', 'organizations.policy', 'organizations.time_zone', 'memberships.status', 'invitations.locale', 'invitations.status', 'roles.policy', 'roles.template',
          'subscriptions.plan', 'plan_ledger.plan', 'role_permissions.permission', 'membership_permissions.permission', 'seen_areas.area',
          'audit_log.action', 'audit_log.relation', 'audit_log.db_role', 'audit_log.db_login'], 'names are not sampled');
SET LOCAL SESSION AUTHORIZATION regress_ou_app;

-- Savepoints: what is rolled back has not been used, and what has been used stays so.
SELECT mail_token('Acme', 'una') AS token \gset
SELECT act('una');
SAVEPOINT s;
SELECT lives_ok(format('SELECT orgusers.accept_invitation(%L)', :'token'), 'a token is used');
SELECT is(orgusers.can(:'acme', 'docs.read'), true, 'and gives rights');
ROLLBACK TO s;
SELECT is(orgusers.can(:'acme', 'docs.read'), false, 'which a rollback takes away');
SELECT act('dan');
SELECT throws_ok(format('SELECT orgusers.accept_invitation(%L)', :'token'), 'OU206', NULL, 'a token that was rolled back is nobody else''s');
SELECT act('una');
SELECT lives_ok(format('SELECT orgusers.accept_invitation(%L)', :'token'), 'and can be used again');
SAVEPOINT s;
SELECT throws_ok(format('SELECT orgusers.decline_invitation(%L)', :'token'), 'OU205', NULL, 'once');
SELECT act('bob');
SELECT throws_ok(format('SELECT orgusers.accept_invitation(%L)', :'token'), 'OU206', NULL, 'by one');
ROLLBACK TO s;
SELECT is(orgusers.current_user_id(), person('una'), 'a rollback brings back the actor');
SELECT is(active('Acme'), 'ann bob una', 'who is a user now');
-- A quota cannot be had back but with what it was for.
SELECT as_owner($$UPDATE orgusers.policies SET daily_invitations = 2$$);
SELECT act('eve');
CREATE FUNCTION invite_and_fail(n int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM orgusers.invite_user(org('Other'), ('x' || n || '@example.com')::orgusers.email);
    RAISE EXCEPTION USING ERRCODE = 'ZZ000';
EXCEPTION WHEN SQLSTATE 'ZZ000' THEN
    RETURN 'failed';
END $$;
SELECT is(string_agg(DISTINCT invite_and_fail(n), ' '), 'failed', 'invitations that are rolled back') FROM generate_series(1, 10) n;
SELECT is(mails('x1') || mails('x10'), '', 'send nothing');
SELECT is(orgusers.invitations_left(:'other'), 2, 'and take nothing of the day''s');
SELECT lives_ok(format('SELECT orgusers.invite_user(%L, %L)', :'other', 'x' || n || '@example.com'), 'two are had') FROM generate_series(1, 2) n;
SELECT throws_ok(format('SELECT orgusers.invite_user(%L, %L)', :'other', 'x3@example.com'), 'OU212', NULL, 'and no third');

-- Where immutability is a lie, or a policy asks again: answers are the actor's of that moment.
SELECT act('bob');
CREATE FUNCTION lie(org uuid) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT orgusers.can(org, 'docs.read') $$;
CREATE TABLE lied (org_id uuid, was boolean GENERATED ALWAYS AS (lie(org_id)) STORED, by uuid DEFAULT orgusers.current_user_id(), CHECK (orgusers.can(org_id, 'docs.read')));
CREATE INDEX ON lied (lie(org_id));
CREATE INDEX ON lied (org_id) WHERE lie(org_id);
SELECT lives_ok(format('INSERT INTO lied VALUES (%L)', :'acme'), 'a CHECK, a default, a generated column and an index ask for the actor''s rights');
SELECT throws_ok(format('INSERT INTO lied VALUES (%L)', :'other'), '23514', NULL, 'which are no other''s');
SELECT act('fay');
SELECT throws_ok(format('INSERT INTO lied VALUES (%L)', :'acme'), '23514', NULL, 'nor stay the former actor''s');
SELECT lives_ok('REINDEX TABLE lied', 'the index can be made anew');
CREATE POLICY p ON mine USING (org_id IN (SELECT o.id FROM orgusers.organizations o) AND EXISTS (SELECT FROM orgusers.memberships m WHERE m.org_id = mine.org_id AND m.user_id = orgusers.current_user_id()));
ALTER TABLE mine ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON mine TO regress_ou_second;
INSERT INTO mine (org_id) VALUES (:'acme'), (:'other');
SET LOCAL SESSION AUTHORIZATION regress_ou_second;
SELECT results_eq('SELECT org_id FROM hostile.mine', ARRAY[:'other']::uuid[], 'a policy with subselects sees what the actor sees');
SELECT act('bob');
SELECT results_eq('SELECT org_id FROM hostile.mine', ARRAY[:'acme']::uuid[], 'and the next actor what is theirs');

-- Even the owner, who can drop any guard, gets an error and no crash.
RESET SESSION AUTHORIZATION;
ALTER TABLE orgusers.space_members DROP CONSTRAINT space_members_pkey, ALTER org_id DROP NOT NULL;
SELECT throws_ok(format('INSERT INTO orgusers.space_members (user_id, space_id) SELECT %L, id FROM orgusers.spaces', person('fay')), 'XX000',
    'unexpected NULL in column org_id of table space_members', 'a key that is NULL is no key');

SELECT * FROM finish();
ROLLBACK;
