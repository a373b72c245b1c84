-- Spaces, single permissions and base permissions: what they let an actor do, and who may give them.
BEGIN;
\ir setup.psql
SELECT no_plan();

-- A policy with a role for assigned spaces only.
INSERT INTO orgusers.role_templates (policy, id, name, all_spaces) VALUES ('plans_and_groups', 'limited', 'LIMITED', false);
SELECT orgusers.register_permission('docs.read', 'Read documents', 'space'), orgusers.register_permission('docs.write', 'Change documents', 'space'),
       orgusers.register_permission('help.read', 'Read the help');
INSERT INTO orgusers.role_template_permissions VALUES
    ('plans_and_groups', 'admin', 'docs.read'), ('plans_and_groups', 'admin', 'docs.write'), ('plans_and_groups', 'user', 'docs.read'),
    ('plans_and_groups', 'limited', 'docs.read'), ('plans_and_groups', 'limited', 'organization.view');
INSERT INTO orgusers.role_template_grants VALUES ('plans_and_groups', 'admin', 'limited');

CREATE FUNCTION space(called text) RETURNS uuid LANGUAGE sql SECURITY DEFINER AS $$ SELECT id FROM orgusers.spaces WHERE name = called $$;
CREATE FUNCTION reach(who text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM act(who);
    RETURN (SELECT string_agg(concat_ws(' ', CASE WHEN orgusers.can(s.org_id, s.id, 'docs.read') THEN 'reads' END,
                                             CASE WHEN orgusers.can(s.org_id, s.id, 'docs.write') THEN 'writes' END, s.name), ', ' ORDER BY s.name)
            FROM (VALUES (org('Acme'), space('one'), 'one'), (org('Acme'), space('two'), 'two'), (org('Acme'), NULL, 'none')) AS s (org_id, id, name));
END $$;

CREATE FUNCTION plan_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF) ' || query; END $$;

SELECT act('ann');
SELECT orgusers.create_organization('Acme', 'plans_and_groups') AS acme \gset
SELECT orgusers.set_plan(:'acme', 'paid', person('ann'));
SELECT enlist('Acme', 'bob', 'LIMITED'), enlist('Acme', 'cyd', 'USER');
SET LOCAL ROLE regress_ou_app;
SELECT orgusers.create_space(:'acme', 'one') AS one \gset
SELECT orgusers.create_space(:'acme', 'two') AS two \gset
SELECT orgusers.create_group(:'acme', 'ops') IS NOT NULL AS made \gset
SELECT throws_ok(format($$SELECT orgusers.create_space(%L, 'one')$$, :'acme'), 'OU107', NULL, 'a space''s name is used once');
SELECT throws_ok(format($$SELECT orgusers.create_space(%L, '')$$, :'acme'), 'OU106', NULL, 'and is a name');
SELECT throws_ok(format($$SELECT orgusers.set_user_spaces(%L, %L, '{three}')$$, :'acme', person('bob')), 'OU111', NULL, 'a space must exist to be assigned');
SELECT throws_ok(format($$SELECT orgusers.set_user_spaces(%L, %L, '{one}')$$, :'acme', person('eve')), 'OU102', NULL, 'and the user be one of the organization');

SELECT is(reach('ann'), 'reads writes none, reads writes one, reads writes two', 'a role for all spaces reaches every space, and rows of none');
SELECT is(reach('cyd'), 'reads none, reads one, reads two', 'with the permissions that it has');
SELECT is(reach('bob'), 'none, one, two', 'a role for assigned spaces reaches nothing before one is assigned');
SELECT act('bob');
SELECT ok(orgusers.can(:'acme', 'organization.view'), 'what is about the organization holds all the same');
SELECT ok(NOT orgusers.can(:'acme', 'docs.read'), 'what is about spaces does not hold in the organization as a whole');
SELECT act('ann');
SELECT lives_ok(format($$SELECT orgusers.set_user_spaces(%L, %L, '{one}')$$, :'acme', person('bob')), 'an administrator assigns a space');
SELECT is(reach('bob'), 'none, reads one, two', 'the assigned space is reached, and no other');
SELECT is(orgusers.spaces_with('docs.read'), ARRAY[:'one'::uuid], 'spaces_with lists it');
SELECT is(orgusers.orgs_reached('docs.read'), ARRAY[:'acme'::uuid], 'orgs_reached the organization');
SELECT is(orgusers.orgs_with('docs.read'), '{}', 'orgs_with does not');
SELECT act('ann');
SELECT orgusers.set_user_spaces(:'acme', person('bob'), NULL), orgusers.set_group_spaces(:'acme', 'ops', '{two}'),
       orgusers.set_user_groups(:'acme', person('bob'), '{ops}');
SELECT is(reach('bob'), 'none, one, reads two', 'a space that is assigned to a group is reached by its users');
SELECT act('cyd');
SELECT is(orgusers.spaces_with('docs.read'), ARRAY(SELECT unnest(ARRAY[:'one', :'two']::uuid[]) ORDER BY 1), 'spaces_with lists all where the permission holds everywhere');
SELECT throws_ok(format($$SELECT orgusers.%s$$, call), 'OU002', NULL, 'a USER may not: ' || regexp_replace(call, '\(.*', ''))
    FROM unnest(ARRAY[format($$create_space(%L, 'x')$$, :'acme'), format($$rename_space(%L, 'one', 'x')$$, :'acme'), format($$delete_space(%L, 'one')$$, :'acme'),
                      format($$set_user_spaces(%L, %L, '{one}')$$, :'acme', person('cyd')), format($$set_group_spaces(%L, 'ops', '{one}')$$, :'acme'),
                      format($$set_user_permissions(%L, %L, '{docs.write}')$$, :'acme', person('cyd'))]) call;

-- Tables of the application, by index and without
RESET ROLE;
CREATE TABLE docs (id int, org_id uuid NOT NULL, space_id uuid);
CREATE INDEX ON docs (org_id);
INSERT INTO docs SELECT i, :'acme', (ARRAY[:'one'::uuid, :'two'::uuid, NULL])[1 + i % 3] FROM generate_series(1, 300) i;
INSERT INTO docs SELECT i, orgusers.new_id(), NULL FROM generate_series(301, 2000) i;
ANALYZE docs;
SELECT orgusers.protect_table('docs', space_column => 'space_id', read => 'docs.read');
GRANT SELECT ON docs TO regress_ou_app;
SET LOCAL ROLE regress_ou_app;
SET LOCAL enable_seqscan = off;
SELECT matches((SELECT string_agg(p, ' ') FROM plan_of('SELECT * FROM docs') p), 'Index Cond: .org_id = ANY .orgusers.orgs_reached.*Filter: orgusers.can', 'F1: the organization is the index condition, and the rows are asked again');
SELECT act('bob');
SELECT is((SELECT count(*)::int FROM docs), 100, 'F1: by index, a LIMITED user reads the rows of the assigned space');
SELECT act('cyd');
SELECT is((SELECT count(*)::int FROM docs), 300, 'F1: by index, a USER reads the rows of all spaces and of none');
SET LOCAL enable_seqscan = on;
SET LOCAL enable_indexscan = off;
SET LOCAL enable_bitmapscan = off;
SELECT act('bob');
SELECT is((SELECT count(*)::int FROM docs), 100, 'F1: by sequential scan, the same');
SELECT act('cyd');
SELECT is((SELECT count(*)::int FROM docs), 300, 'F1: for both');
RESET enable_indexscan;
RESET enable_bitmapscan;

-- Rows of the extension's own tables
SELECT act('bob');
SELECT is((SELECT string_agg(name, ' ') FROM orgusers.spaces), NULL, 'LIMITED may not see spaces without spaces.view');
RESET ROLE;
INSERT INTO orgusers.role_template_permissions VALUES ('plans_and_groups', 'limited', 'spaces.view');
SET LOCAL ROLE regress_ou_app;
SELECT is((SELECT string_agg(name, ' ') FROM orgusers.spaces), 'two', 'with it, those assigned');

-- Single permissions
SELECT act('ann');
SELECT throws_ok(format($$SELECT orgusers.set_user_permissions(%L, %L, %L)$$, :'acme', person(who), given), state, NULL, why)
    FROM (VALUES ('bob', '{docs.none}', 'OU105', 'a single permission must exist'), ('bob', '{NULL}', 'OU105', 'and not be NULL'),
                 ('bob', '{help.read}', 'OU108', 'nobody gives a permission that they have not'), ('eve', '{docs.read}', 'OU102', 'only to users of the organization')) AS v (who, given, state, why);
SELECT lives_ok(format($$SELECT orgusers.set_user_permissions(%L, %L, '{docs.write,users.view}')$$, :'acme', person('bob')), 'an administrator gives single permissions');
SELECT is(reach('bob'), 'writes none, writes one, reads writes two', 'which hold everywhere in the organization');
SELECT ok(orgusers.can(:'acme', 'users.view'), 'also those about the organization');
SELECT act('ann');
SELECT orgusers.set_user_permissions(:'acme', person('bob'), '{users.view}');
SELECT is(reach('bob'), 'none, one, reads two', 'each is taken by itself');
RESET ROLE;
UPDATE orgusers.policies SET own_role_change = false;
SET LOCAL ROLE regress_ou_app;
SELECT act('ann');
SELECT throws_ok(format($$SELECT orgusers.set_user_permissions(%L, %L, '{}')$$, :'acme', person('ann')), 'OU109', NULL, 'nobody changes their own permissions where the policy forbids');

-- Base permissions
SELECT ok(NOT orgusers.can(:'acme', 'help.read'), 'a permission that nobody has');
RESET ROLE;
INSERT INTO orgusers.base_permissions VALUES ('plans_and_groups', 'help.read');
SELECT enlist('Acme', 'dan');
DELETE FROM orgusers.membership_roles WHERE user_id = person('dan');
SET LOCAL ROLE regress_ou_app;
SELECT act('dan');
SELECT ok(orgusers.can(:'acme', 'help.read'), 'is everybody''s once it is a base permission, without any role');
SELECT ok(orgusers.can(:'acme', :'one', 'help.read'), 'in spaces too');
SELECT ok(NOT orgusers.can(:'acme', 'organization.view'), 'and gives nothing else');
RESET ROLE;
UPDATE orgusers.memberships SET status = 'deactivated', deactivated_at = now() WHERE user_id = person('dan');
SET LOCAL ROLE regress_ou_app;
SELECT ok(NOT orgusers.can(:'acme', 'help.read'), 'not a deactivated user''s');

-- An organization without roles can change its policy, and with it what everybody may.
RESET ROLE;
INSERT INTO orgusers.policies (id, title, default_plan, product_name, accept_url, mail_from, invitation_lifetime)
    VALUES ('other', 'Other', 'free', 'Other', 'https://example.org/#{{token}}', 'no-reply@example.org', '1 day');
INSERT INTO orgusers.organizations (id, name, policy) VALUES ('00000000-0000-4000-8000-000000000000', 'Bare', 'plans_and_groups');
INSERT INTO orgusers.memberships (org_id, user_id) VALUES ('00000000-0000-4000-8000-000000000000', person('eve'));
SELECT act('eve');
SELECT ok(orgusers.can('00000000-0000-4000-8000-000000000000', 'help.read'), 'a base permission is the policy''s');
UPDATE orgusers.organizations SET policy = 'other' WHERE name = 'Bare';
SELECT ok(NOT orgusers.can('00000000-0000-4000-8000-000000000000', 'help.read'), 'and goes with the policy');
SET LOCAL ROLE regress_ou_app;

-- Why
SELECT act('ann');
SELECT results_eq(format($$SELECT allowed, reason, role, "group" FROM orgusers.explain_access(%L, %L, %L, %L)$$, person(who), :'acme', permission, place),
    format($$VALUES (%L::boolean, %L, %L, %L)$$, allowed, reason, role, "group"), 'F2: ' || who || ', ' || permission || ': ' || reason)
    FROM (VALUES ('cyd', 'docs.read', :'one'::uuid, true, 'holds a role with the permission', 'USER', NULL),
                 ('cyd', 'help.read', NULL, true, 'base permission of the policy', NULL, NULL),
                 ('bob', 'users.view', NULL, true, 'has the permission by itself', NULL, NULL),
                 ('bob', 'docs.read', :'two', true, 'the space is assigned to a group, and a role has the permission in assigned spaces', 'LIMITED', 'ops'),
                 ('bob', 'docs.read', :'one', false, 'holds a role with the permission in assigned spaces only', 'LIMITED', NULL),
                 ('bob', 'docs.read', NULL, false, 'holds a role with the permission in assigned spaces only', 'LIMITED', NULL))
    AS v (who, permission, place, allowed, reason, role, "group");

-- Renamed and deleted
SELECT lives_ok(format($$SELECT orgusers.rename_space(%L, 'two', 'second')$$, :'acme'), 'a space is renamed');
SELECT throws_ok(format($$SELECT orgusers.rename_space(%L, 'second', 'one')$$, :'acme'), 'OU107', NULL, 'not to a name in use');
SELECT lives_ok(format($$SELECT orgusers.delete_space(%L, 'second')$$, :'acme'), 'and deleted');
SELECT act('bob');
SELECT ok(NOT orgusers.can(:'acme', :'two', 'docs.read'), 'with its assignments');
SELECT results_eq(format($$SELECT orgusers.can(NULL, NULL, NULL), orgusers.can(%L, NULL, NULL), orgusers.can(NULL, %L, 'docs.read'), orgusers.can(%1$L, %2$L, 'no.such'), orgusers.spaces_with(NULL), orgusers.orgs_reached(NULL)$$, :'acme', :'one'),
    $$VALUES (false, false, false, false, '{}'::uuid[], '{}'::uuid[])$$, 'a question with NULL in it gets the answer no');
SELECT act(NULL);
SELECT results_eq(format($$SELECT orgusers.can(%L, %L, 'docs.read'), orgusers.spaces_with('docs.read'), orgusers.orgs_reached('docs.read')$$, :'acme', :'one'),
    $$VALUES (false, '{}'::uuid[], '{}'::uuid[])$$, 'and so does nobody');
SELECT act('bob');
SELECT is((SELECT misses > 0 AND hits > 0 AND bytes > 0 AND entries > 0 FROM orgusers.cache_stats()), true, 'cache_stats counts');

SELECT * FROM finish();
ROLLBACK;
