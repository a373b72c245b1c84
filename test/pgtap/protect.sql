-- protect_table, what it refuses and warns of, and explain_access.
BEGIN;
\ir setup.psql
SELECT no_plan();

SELECT act('ann');
SELECT orgusers.create_organization('Acme', 'plans_and_groups');
SELECT enlist('Acme', 'bob');
SELECT act('eve');
SELECT orgusers.create_organization('Other', 'plans_and_groups');
SELECT orgusers.register_permission('docs.read', 'Read documents'), orgusers.register_permission('docs.write', 'Change documents');
INSERT INTO orgusers.role_template_permissions VALUES
    ('plans_and_groups', 'admin', 'docs.read'), ('plans_and_groups', 'admin', 'docs.write'), ('plans_and_groups', 'user', 'docs.read');
CREATE ROLE regress_ou_dev;
SELECT orgusers.grant_to('regress_ou_dev', 'developer');
CREATE SCHEMA app AUTHORIZATION regress_ou_dev;
GRANT USAGE ON SCHEMA app TO regress_ou_app;

SET LOCAL ROLE regress_ou_dev;
CREATE TABLE app."Do cs" (id int PRIMARY KEY, "org id" uuid NOT NULL, author uuid);
CREATE INDEX ON app."Do cs" ("org id");
CREATE VIEW app.plain AS SELECT 1 AS x;
GRANT ALL ON app."Do cs" TO regress_ou_app;
SELECT throws_ok(format($$SELECT orgusers.protect_table(%s)$$, arguments), state, NULL, 'F1: refused: ' || why)
    FROM (VALUES
        ($$'app."Do cs"', 'org id'$$, 'OU009', 'no permission named'),
        ($$'app."Do cs"', read => 'docs.read'$$, 'OU009', 'a column that is not there'),
        ($$'app."Do cs"', 'id', read => 'docs.read'$$, 'OU009', 'a column of another type'),
        ($$'app."Do cs"', 'org id', 'nowhere', read => 'docs.read'$$, 'OU009', 'a space column that is not there'),
        ($$'app."Do cs"', NULL, read => 'docs.read'$$, 'OU009', 'no column'),
        ($$'app."Do cs"', 'org id', owner_column => 'nobody', read => 'docs.read'$$, 'OU009', 'an owner column that is not there'),
        ($$'app."Do cs"', 'org id', read => 'docs.reed'$$, 'OU105', 'a permission that is not registered'),
        ($$'app."Do cs"', 'org id', read => 'docs.read', roles => ARRAY[(SELECT oid FROM pg_roles WHERE rolsuper LIMIT 1)]::regrole[]$$, 'OU009', 'a role that bypasses it'),
        ($$'app.plain', 'x', read => 'docs.read'$$, 'OU009', 'a view'),
        ($$'orgusers.users', 'id', read => 'docs.read'$$, 'OU009', 'the extension''s own table'),
        ($$NULL, read => 'docs.read'$$, 'OU009', 'no table'),
        ($$'pg_class', 'oid', read => 'docs.read'$$, 'OU009', 'a catalog')) AS v (arguments, state, why);
SELECT is_empty('SELECT * FROM orgusers.protected_tables', 'F1: and nothing was done');

SELECT lives_ok($$SELECT orgusers.protect_table('app."Do cs"', 'org id', owner_column => 'author', read => 'docs.read', insert => 'docs.read',
    update => 'docs.write', delete => 'docs.write', roles => '{regress_ou_app}')$$, 'F1: the owner of a table protects it in one call');
SELECT throws_ok($$SELECT orgusers.protect_table('app."Do cs"', 'org id', read => 'docs.read')$$, 'OU107', NULL, 'F1: once');
SELECT results_eq($$SELECT command, roles, in_force FROM orgusers.protected_tables ORDER BY command$$,
    $$VALUES ('DELETE', '{regress_ou_app}'::text[], true), ('INSERT', '{regress_ou_app}', true), ('SELECT', '{regress_ou_app}', true), ('UPDATE', '{regress_ou_app}', true)$$,
    'F1: a view shows what is protected');

SET LOCAL ROLE regress_ou_app;
SELECT act('ann');
SELECT lives_ok(format($$INSERT INTO app."Do cs" VALUES (1, %L, %L), (2, %1$L, NULL)$$, org('Acme'), person('ann')), 'F1: an ADMIN inserts');
SELECT throws_ok(format($$INSERT INTO app."Do cs" VALUES (9, %L, %L)$$, org('Other'), person('ann')), '42501', NULL, 'F1: but not into another organization');
SELECT act('bob');
SELECT lives_ok(format($$INSERT INTO app."Do cs" VALUES (3, %L, %L)$$, org('Acme'), person('bob')), 'F1: a USER inserts');
SELECT results_eq($$SELECT id FROM app."Do cs" ORDER BY id$$, ARRAY[1, 2, 3], 'F1: a USER reads the organization''s rows');
SELECT results_eq($$UPDATE app."Do cs" SET id = id RETURNING id$$, ARRAY[3], 'F1: and updates the own row only');
SELECT throws_ok(format($$UPDATE app."Do cs" SET "org id" = %L WHERE id = 3$$, org('Other')), '42501', NULL, 'F1: without taking it to another organization');
SELECT results_eq($$DELETE FROM app."Do cs" RETURNING id$$, ARRAY[3], 'F1: and deletes the own row only');
SELECT act('eve');
SELECT is_empty($$SELECT * FROM app."Do cs"$$, 'F1: another organization''s ADMIN reads nothing');
SELECT act(NULL);
SELECT is_empty($$SELECT * FROM app."Do cs"$$, 'F1: an anonymous session reads nothing');
RESET ROLE;
SELECT as_owner(format('UPDATE orgusers.memberships SET status = %L, deactivated_at = now() WHERE user_id = %L', 'deactivated', person('bob')));
INSERT INTO app."Do cs" VALUES (4, org('Acme'), person('bob'));
SET LOCAL ROLE regress_ou_app;
SELECT act('bob');
SELECT is_empty($$SELECT * FROM app."Do cs"$$, 'F1: a deactivated user reads not even the own row');
SET LOCAL ROLE regress_ou_dev;
SELECT is_empty($$SELECT * FROM app."Do cs"$$, 'F1: the table''s owner is bound as well');
SELECT lives_ok($$SELECT orgusers.unprotect_table('app."Do cs"')$$, 'F1: the protection can be taken back');
SELECT throws_ok($$SELECT orgusers.unprotect_table('app."Do cs"')$$, 'OU009', NULL, 'F1: once');
SELECT isnt_empty($$SELECT * FROM app."Do cs"$$, 'F1: then the grants decide');
RESET ROLE;

-- Why
SELECT act('ann');
SELECT orgusers.create_group(org('Acme'), 'readers', '{USER}');
SELECT orgusers.reactivate_user(org('Acme'), person('bob'));
SELECT orgusers.set_user_groups(org('Acme'), person('bob'), '{readers}');
SET LOCAL ROLE regress_ou_app;
SELECT results_eq(format($$SELECT allowed, role, "group" FROM orgusers.explain_access(%L, %L, 'docs.read')$$, person('bob'), org('Acme')),
    $$VALUES (true, 'USER', NULL), (true, 'USER', 'readers')$$, 'F2: every way in which a permission comes is named');
SELECT results_eq(format($$SELECT allowed, reason FROM orgusers.explain_access(%L, %L, %L)$$, person(who), org('Acme'), permission),
    format($$VALUES (false, %L)$$, reason), 'F2: ' || reason)
    FROM (VALUES ('eve', 'docs.read', 'is not a user of the organization'), ('bob', 'docs.none', 'the permission is not registered')) AS v (who, permission, reason);
SELECT results_eq(format($$SELECT DISTINCT allowed, reason FROM orgusers.explain_access(%L, %L, 'docs.write')$$, person('bob'), org('Acme')),
    $$VALUES (false, 'holds a role without the permission')$$, 'F2: holds a role without the permission');
SELECT orgusers.deactivate_user(org('Acme'), person('bob'));
SELECT results_eq(format($$SELECT allowed, reason FROM orgusers.explain_access(%L, %L, 'docs.read')$$, person('bob'), org('Acme')),
    $$VALUES (false, 'is deactivated in the organization')$$, 'F2: is deactivated in the organization');
SELECT orgusers.reactivate_user(org('Acme'), person('bob'));
SELECT orgusers.set_user_groups(org('Acme'), person('bob'), '{}'), orgusers.set_user_roles(org('Acme'), person('bob'), '{}');
SELECT results_eq(format($$SELECT allowed, reason FROM orgusers.explain_access(%L, %L, 'docs.read')$$, person('bob'), org('Acme')),
    $$VALUES (false, 'holds no role')$$, 'F2: holds no role');
SELECT act('bob');
SELECT isnt_empty(format($$SELECT * FROM orgusers.explain_access(%L, %L, 'docs.read')$$, person('bob'), org('Acme')), 'F2: users may ask about themselves');
SELECT throws_ok(format($$SELECT * FROM orgusers.explain_access(%L, %L, 'docs.read')$$, person('ann'), org('Acme')), 'OU002', NULL, 'F2: not about others');
SELECT act('eve');
SELECT throws_ok(format($$SELECT * FROM orgusers.explain_access(%L, %L, 'docs.read')$$, person('ann'), org('Acme')), 'OU101', NULL, 'F2: nor about another organization''s users');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
