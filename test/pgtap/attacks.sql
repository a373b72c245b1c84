-- Ways around the rules that were tried, and are closed.
BEGIN;
\ir setup.psql
SELECT no_plan();

-- A helper may manage users and groups, and give the role USER only.
SELECT orgusers.register_permission('docs.read', 'Read documents', 'space');
INSERT INTO orgusers.role_templates (policy, id, name, all_spaces) VALUES ('plans_and_groups', 'helper', 'HELPER', false);
INSERT INTO orgusers.role_template_permissions SELECT 'plans_and_groups', 'helper',
    unnest(ARRAY['organization.view', 'users.view', 'users.invite', 'users.remove', 'users.deactivate', 'groups.manage', 'docs.read']);
INSERT INTO orgusers.role_template_grants VALUES ('plans_and_groups', 'helper', 'user'), ('plans_and_groups', 'admin', 'helper');
SELECT act('ann');
SELECT orgusers.create_organization('Acme', 'plans_and_groups') AS acme \gset
SELECT orgusers.set_plan(:'acme', 'paid', person('ann'));
SELECT enlist('Acme', 'bob', 'HELPER'), enlist('Acme', 'cyd');
SELECT orgusers.create_group(:'acme', 'bosses', '{ADMIN}'), orgusers.create_group(:'acme', 'secret team'), orgusers.create_group(:'acme', 'harmless');
SELECT orgusers.create_space(:'acme', 'secret');
SELECT orgusers.set_group_spaces(:'acme', 'secret team', '{secret}');
SELECT orgusers.set_user_permissions(:'acme', person('cyd'), '{billing.manage}');

SET LOCAL ROLE regress_ou_app;
SELECT act('bob');
SELECT throws_ok(format($$SELECT orgusers.set_user_groups(%L, %L, '{secret team}')$$, :'acme', person(who)), 'OU002', NULL,
    'spaces do not come by way of a group to ' || who) FROM unnest(ARRAY['bob', 'cyd']) who;
SELECT throws_ok(format($$SELECT orgusers.invite_user(%L, 'dan@example.org', groups => '{secret team}')$$, :'acme'), 'OU002', NULL, 'nor by way of an invitation');
SELECT throws_ok(format($$SELECT orgusers.delete_group(%L, 'secret team')$$, :'acme'), 'OU002', NULL, 'nor are they taken by deleting the group');
SELECT throws_ok(format($$SELECT orgusers.rename_group(%L, 'bosses', 'newcomers')$$, :'acme'), 'OU108', NULL, 'a group that carries a role does not get another''s name');
SELECT lives_ok(format($$SELECT orgusers.rename_group(%L, 'harmless', 'still harmless')$$, :'acme'), 'one that carries nothing does');
SELECT throws_ok(format($$SELECT orgusers.%I(%L, %L)$$, call, :'acme', person('cyd')), 'OU108', NULL, 'who has a permission of their own is safe from those without it: ' || call)
    FROM unnest(ARRAY['remove_user', 'deactivate_user', 'reactivate_user']) call;
RESET ROLE;
SELECT orgusers.register_permission('docs.read', 'Read all the documents');
SELECT is((SELECT scope FROM orgusers.permissions WHERE key = 'docs.read'), 'space', 'describing a permission anew does not widen it');

-- The inviter's right to assign spaces counts at acceptance.
SELECT act('ann');
SELECT orgusers.invite_user(:'acme', 'dan@example.org', '{USER}', '{secret team}', send => false) AS invitation \gset
SELECT orgusers.set_user_roles(:'acme', person('cyd'), '{ADMIN}');
DELETE FROM orgusers.role_template_permissions WHERE template = 'admin' AND permission = 'spaces.assign';
SELECT act('dan');
SELECT throws_ok(format($$SELECT orgusers.accept_my_invitation(%L, %L)$$, :'acme', :'invitation'), 'OU210', NULL, 'an inviter who may not assign spaces any more gives none');

-- A row's owner does not take it where the owner may only read.
SELECT orgusers.register_permission('notes.read', 'Read notes'), orgusers.register_permission('notes.write', 'Write notes');
INSERT INTO orgusers.role_template_permissions VALUES ('plans_and_groups', 'admin', 'notes.read'), ('plans_and_groups', 'admin', 'notes.write'), ('plans_and_groups', 'user', 'notes.read');
SELECT act('eve');
SELECT orgusers.create_organization('Other', 'plans_and_groups') AS other \gset
SELECT enlist('Other', 'ann');
CREATE TABLE notes (id int, org_id uuid, author uuid);
CREATE INDEX ON notes (org_id);
GRANT ALL ON notes TO regress_ou_app;
SELECT orgusers.protect_table('notes', owner_column => 'author', read => 'notes.read', insert => 'notes.write');
SET LOCAL ROLE regress_ou_app;
SELECT act('ann');
INSERT INTO notes VALUES (1, :'acme', person('ann'));
SELECT is_empty('UPDATE notes SET id = 2 RETURNING id', 'an owner updates nothing where nobody may');
RESET ROLE;
SELECT orgusers.unprotect_table('notes');
SELECT orgusers.register_permission('notes.edit', 'Edit notes');
SELECT orgusers.protect_table('notes', owner_column => 'author', read => 'notes.read', insert => 'notes.write', update => 'notes.edit');
SET LOCAL ROLE regress_ou_app;
SELECT results_eq('UPDATE notes SET id = 2 RETURNING id', ARRAY[2], 'an owner updates the own row');
SELECT throws_ok(format('UPDATE notes SET org_id = %L', :'other'), '42501', NULL, 'but does not plant it in an organization where the owner may not insert');

-- Casts that documentation names work for applications.
SELECT is((SELECT t::orgusers.email::text FROM unnest(ARRAY['A@b.example']) t), 'A@b.example', 'a text becomes an address');
SELECT is((SELECT count(*)::int FROM orgusers.my_organizations()), 2, 'and lists go on');

SELECT * FROM finish();
ROLLBACK;
