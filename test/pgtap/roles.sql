-- Roles that an organization makes and changes, and handing an organization over.
BEGIN;
\ir setup.psql
SELECT no_plan();

-- A rule-book like plans_and_groups, where an organization makes roles like STAFF (all spaces) and TEMP (assigned ones),
-- nobody changes their own roles, and there is one OWNER.
SELECT orgusers.register_permission('docs.read', 'Read documents', 'space'), orgusers.register_permission('docs.write', 'Write documents', 'space');
INSERT INTO orgusers.policies SELECT (jsonb_populate_record(p, '{"id": "staffed", "own_role_change": false, "self_removal": false}')).* FROM orgusers.policies p;
INSERT INTO orgusers.mail_templates SELECT (jsonb_populate_record(t, '{"policy": "staffed"}')).* FROM orgusers.mail_templates t;
INSERT INTO orgusers.role_templates (policy, id, name, founder, by_default, least_holders, most_holders, editable, all_spaces) VALUES
    ('staffed', 'owner',  'OWNER',  true,  false, 1, 1,    false, true),
    ('staffed', 'admin',  'ADMIN',  false, false, 0, NULL, false, true),
    ('staffed', 'helper', 'HELPER', false, false, 0, NULL, false, true),
    ('staffed', 'staff',  'STAFF',  false, true,  0, NULL, true,  true),
    ('staffed', 'temp',   'TEMP',   false, false, 0, NULL, true,  false);
INSERT INTO orgusers.role_template_permissions
    SELECT 'staffed', t, p FROM unnest(ARRAY['owner', 'admin']) t, unnest(ARRAY['organization.view', 'users.view', 'users.invite', 'users.remove',
        'roles.assign', 'roles.manage', 'groups.manage', 'docs.read', 'docs.write', 'spaces.view']) p
    UNION ALL SELECT 'staffed', 'owner', 'billing.manage'
    UNION ALL SELECT 'staffed', 'helper', p FROM unnest(ARRAY['organization.view', 'users.invite', 'roles.manage', 'docs.read']) p
    UNION ALL SELECT 'staffed', t, p FROM unnest(ARRAY['staff', 'temp']) t, unnest(ARRAY['organization.view', 'docs.read']) p;
INSERT INTO orgusers.role_template_grants
    SELECT 'staffed', o, g FROM unnest(ARRAY['owner', 'admin']) o, unnest(ARRAY['admin', 'helper', 'staff', 'temp']) g
    UNION ALL SELECT 'staffed', 'helper', 'staff';
CREATE FUNCTION acme() RETURNS uuid LANGUAGE sql AS $$ SELECT org('Acme') $$;
CREATE FUNCTION role_id(called text) RETURNS uuid LANGUAGE sql SECURITY DEFINER AS $$ SELECT id FROM orgusers.roles WHERE org_id = org('Acme') AND name = called $$;

-- ann OWNER, bob ADMIN, cyd HELPER, dan STAFF
SELECT act('ann');
SELECT orgusers.create_organization('Acme', 'staffed') AS acme \gset
SELECT as_owner($$UPDATE orgusers.plans SET seats = 100 WHERE id = 'free'$$);
SELECT enlist('Acme', 'bob', 'ADMIN'), enlist('Acme', 'cyd', 'HELPER'), enlist('Acme', 'dan', 'STAFF');
SELECT act('eve');
SELECT orgusers.create_organization('Other', 'plans_and_groups') AS other \gset
SET LOCAL ROLE regress_ou_app;
SELECT act('bob');

-- E2: the page of roles
SELECT results_eq($$SELECT name, template, editable, edited, permissions, users FROM orgusers.list_roles(acme())$$,
    $$VALUES ('ADMIN',  'admin',  false, false, (SELECT array_agg(permission ORDER BY permission) FROM orgusers.role_template_permissions WHERE policy = 'staffed' AND template = 'admin'), 1::bigint),
             ('HELPER', 'helper', false, false, '{docs.read,organization.view,roles.manage,users.invite}'::text[], 1),
             ('OWNER',  'owner',  false, false, (SELECT array_agg(permission ORDER BY permission) FROM orgusers.role_template_permissions WHERE policy = 'staffed' AND template = 'owner'), 1),
             ('STAFF',  'staff',  true,  false, '{docs.read,organization.view}', 1),
             ('TEMP',   'temp',   true,  false, '{docs.read,organization.view}', 0)$$, 'E2: the roles are listed with what they permit');
SELECT act('dan');
SELECT is((SELECT array_agg(DISTINCT users) FROM orgusers.list_roles(acme())), ARRAY[NULL::bigint], 'E2: how many hold them is for who may see users');

-- E2: making roles
SELECT act('bob');
SELECT throws_ok($$SELECT orgusers.create_role(acme(), 'WRITER', '{docs.write}')$$, 'OU112', 'it takes a role template that the new role is like', 'E2: with several kinds of roles one is named');
SELECT throws_ok($$SELECT orgusers.create_role(acme(), 'WRITER', '{docs.write}', 'admin')$$, 'OU112', NULL, 'E2: no role is made like a fixed one');
SELECT throws_ok($$SELECT orgusers.create_role(acme(), 'WRITER', '{docs.write}', 'no such')$$, 'OU112', NULL, 'E2: nor like none');
SELECT throws_ok($$SELECT orgusers.create_role(acme(), 'WRITER', '{docs.burn}', 'staff')$$, 'OU105', NULL, 'E2: a permission is one that is known');
SELECT throws_ok($$SELECT orgusers.create_role(acme(), 'WRITER', '{billing.manage}', 'staff')$$, 'OU108', NULL, 'E2: nobody gives a permission that they have not');
SELECT throws_ok($$SELECT orgusers.create_role(acme(), 'STAFF', '{}', 'staff')$$, 'OU107', NULL, 'E2: a name is used once');
SELECT throws_ok($$SELECT orgusers.create_role(acme(), ' ', '{}', 'staff')$$, 'OU106', NULL, 'E2: a name is a name');
SELECT is(orgusers.create_role(acme(), 'WRITER', '{docs.write,docs.read,docs.read}', 'staff'), role_id('WRITER'), 'E2: an ADMIN makes a role');
SELECT results_eq($$SELECT template, editable, edited, permissions, users FROM orgusers.list_roles(acme()) WHERE name = 'WRITER'$$,
    $$VALUES ('staff', true, true, '{docs.read,docs.write}'::text[], 0::bigint)$$, 'E2: it permits what it was made with');
SELECT lives_ok($$SELECT orgusers.set_user_roles(acme(), person('dan'), '{WRITER}')$$, 'E2: and is given like others');
SELECT act('dan');
SELECT results_eq($$SELECT orgusers.can(acme(), 'docs.write'), orgusers.can(acme(), 'organization.view')$$, $$VALUES (true, false)$$, 'E2: the holder may do what it says, and nothing of its template');
SELECT throws_ok(format(call, 'acme()'), 'OU002', NULL, 'E2: who has no roles.manage is refused: ' || call) FROM unnest(ARRAY[
    $$SELECT orgusers.create_role(%s, 'MINE', '{}', 'staff')$$, $$SELECT orgusers.edit_role(%s, 'STAFF', 'MINE')$$, $$SELECT orgusers.delete_role(%s, 'STAFF')$$,
    $$SELECT orgusers.role_usage(%s, 'STAFF')$$, $$SELECT orgusers.list_roles(%s)$$]) call;
SELECT act('eve');
SELECT throws_ok(format(call, 'acme()'), 'OU101', NULL, 'E2: another organization''s ADMIN is refused: ' || call) FROM unnest(ARRAY[
    $$SELECT orgusers.create_role(%s, 'MINE', '{}', 'staff')$$, $$SELECT orgusers.edit_role(%s, 'STAFF', 'MINE')$$, $$SELECT orgusers.delete_role(%s, 'STAFF')$$,
    $$SELECT orgusers.role_usage(%s, 'STAFF')$$, $$SELECT orgusers.list_roles(%s)$$, $$SELECT orgusers.hand_over(%s, person('bob'))$$]) call;
SELECT throws_ok($$SELECT orgusers.create_role(org('Other'), 'MINE', '{}')$$, 'OU112', 'it takes a role template that the new role is like', 'E2: a policy without editable roles makes none');
SELECT act(NULL);
SELECT throws_ok(call, 'OU001', NULL, 'E2: nobody is refused: ' || call) FROM unnest(ARRAY[
    $$SELECT orgusers.create_role(acme(), 'MINE', '{}', 'staff')$$, $$SELECT orgusers.edit_role(acme(), 'STAFF', 'MINE')$$, $$SELECT orgusers.delete_role(acme(), 'STAFF')$$,
    $$SELECT orgusers.role_usage(acme(), 'STAFF')$$, $$SELECT orgusers.list_roles(acme())$$, $$SELECT orgusers.hand_over(acme(), person('bob'))$$]) call;

-- E2: editing, within what one has
SELECT act('cyd');
SELECT throws_ok($$SELECT orgusers.edit_role(acme(), 'WRITER', 'READER')$$, 'OU108', NULL, 'E2: a role that permits more than one has is not renamed');
SELECT throws_ok($$SELECT orgusers.edit_role(acme(), 'WRITER', permissions => '{docs.read}')$$, 'OU108', NULL, 'E2: nor is such a permission taken');
SELECT throws_ok($$SELECT orgusers.edit_role(acme(), 'STAFF', permissions => '{docs.read,docs.write,organization.view}')$$, 'OU108', NULL, 'E2: nor added');
SELECT throws_ok($$SELECT orgusers.edit_role(acme(), 'TEMP', 'NEW')$$, 'OU108', NULL, 'E2: a role that is not one''s to give is not one''s to change');
SELECT throws_ok($$SELECT orgusers.delete_role(acme(), 'TEMP')$$, 'OU108', NULL, 'E2: nor to delete');
SELECT throws_ok($$SELECT orgusers.edit_role(acme(), 'HELPER', 'BOSS')$$, 'OU112', NULL, 'E2: a fixed role is not renamed');
SELECT throws_ok($$SELECT orgusers.edit_role(acme(), 'ADMIN', permissions => '{}')$$, 'OU112', NULL, 'E2: nor emptied');
SELECT throws_ok($$SELECT orgusers.delete_role(acme(), 'ADMIN')$$, 'OU112', NULL, 'E2: nor deleted');
SELECT throws_ok($$SELECT orgusers.edit_role(acme(), 'NONE', 'ANY')$$, 'OU103', NULL, 'E2: a role is one of the organization''s');
SELECT lives_ok($$SELECT orgusers.edit_role(acme(), 'STAFF', 'READERS', '{docs.read}')$$, 'E2: what is one''s to give is');
SELECT results_eq($$SELECT name, edited, permissions FROM orgusers.list_roles(acme()) WHERE template = 'staff' AND name <> 'WRITER'$$,
    $$VALUES ('READERS', true, '{docs.read}'::text[])$$, 'E2: name and permissions are the new ones');
SELECT act('bob');
SELECT throws_ok($$SELECT orgusers.edit_role(acme(), 'READERS', 'WRITER')$$, 'OU107', NULL, 'E2: two roles do not have one name');
SELECT lives_ok($$SELECT orgusers.edit_role(acme(), 'WRITER', permissions => '{docs.write}')$$, 'E2: permissions alone are changed');
SELECT act('dan');
SELECT results_eq($$SELECT orgusers.can(acme(), 'docs.write'), orgusers.can(acme(), 'docs.read')$$, $$VALUES (true, false)$$, 'E2: the holder''s rights follow at once');
SELECT act('bob');
SELECT lives_ok($$SELECT orgusers.edit_role(acme(), 'WRITER', 'AUTHOR')$$, 'E2: the name alone is changed');
SELECT is((SELECT permissions FROM orgusers.list_roles(acme()) WHERE name = 'AUTHOR'), '{docs.write}', 'E2: and the permissions stay');
SELECT lives_ok($$SELECT orgusers.edit_role(acme(), 'AUTHOR', permissions => '{}')$$, 'E2: a role can permit nothing');
SELECT act('dan');
SELECT is(orgusers.can(acme(), 'docs.write'), false, 'E2: then its holder has nothing of it');
SELECT act('bob');
SELECT lives_ok($$SELECT orgusers.edit_role(acme(), 'AUTHOR', permissions => '{docs.write}')$$, 'E2: and something again');

-- E2: a role like one for assigned spaces gives in these only
SELECT lives_ok($$SELECT orgusers.edit_role(acme(), 'TEMP', permissions => '{docs.read,organization.view,docs.write}')$$, 'E2: a role for assigned spaces is edited');
SELECT as_owner($$INSERT INTO orgusers.spaces (org_id, name) VALUES (org('Acme'), 'room'), (org('Acme'), 'hall')$$);
SELECT enlist('Acme', 'gus', 'TEMP');
SELECT as_owner($$INSERT INTO orgusers.space_members (org_id, user_id, space_id) SELECT org_id, person('gus'), id FROM orgusers.spaces WHERE name = 'room'$$);
SELECT act('gus');
SELECT results_eq($$SELECT name, orgusers.can(org_id, id, 'docs.write') FROM orgusers.spaces ORDER BY name$$, $$SELECT 'hall', false WHERE false$$, 'E2: spaces that are not the holder''s to see stay unseen');
SELECT is(cardinality(orgusers.spaces_with('docs.write')), 1, 'E2: the holder may write in the assigned space only');
SELECT as_owner($$DELETE FROM orgusers.memberships WHERE user_id = person('gus')$$);

-- E2: roles of one's own
SELECT enlist('Acme', 'fay', 'ADMIN');
SELECT act('bob');
SELECT lives_ok($$SELECT orgusers.set_user_roles(acme(), person('fay'), '{ADMIN,AUTHOR}')$$, 'E2: fay holds AUTHOR, too');
SELECT act('fay');
SELECT throws_ok($$SELECT orgusers.edit_role(acme(), 'AUTHOR', permissions => '{docs.read,docs.write}')$$, 'OU109', NULL, 'E2: nobody edits a role of their own');
SELECT throws_ok($$SELECT orgusers.delete_role(acme(), 'AUTHOR')$$, 'OU109', NULL, 'E2: nor deletes it');
SELECT act('bob');
SELECT lives_ok($$SELECT orgusers.create_group(acme(), 'press', '{AUTHOR}'), orgusers.set_user_groups(acme(), person('fay'), '{press}'), orgusers.set_user_roles(acme(), person('fay'), '{ADMIN}')$$, 'E2: fay holds it by a group');
SELECT act('fay');
SELECT throws_ok($$SELECT orgusers.edit_role(acme(), 'AUTHOR', permissions => '{docs.read,docs.write}')$$, 'OU109', NULL, 'E2: that is a role of one''s own');
SELECT as_owner($$UPDATE orgusers.policies SET own_role_change = true WHERE id = 'staffed'$$);
SELECT lives_ok($$SELECT orgusers.edit_role(acme(), 'AUTHOR', permissions => '{docs.read,docs.write}')$$, 'E2: a policy can allow it');
SELECT as_owner($$UPDATE orgusers.policies SET own_role_change = false WHERE id = 'staffed'$$);

-- E2: what deleting would touch
SELECT act('bob');
SELECT lives_ok($$SELECT orgusers.invite_user(acme(), 'gus@example.org', '{AUTHOR}', send => false), orgusers.invite_user(acme(), 'una@example.org', '{AUTHOR,READERS}'),
    orgusers.invite_user(acme(), 'x1@example.org', '{READERS}', '{press}'), orgusers.invite_user(acme(), 'x2@example.org', '{READERS}'),
    orgusers.invite_user(acme(), 'x3@example.org', '{AUTHOR}')$$, 'E2: invitations are open');
SELECT as_owner($$UPDATE orgusers.invitations SET expires_at = now() - interval '1 day' WHERE email = 'x3@example.org'$$);
SELECT as_owner($$UPDATE orgusers.role_templates SET joinable = true WHERE policy = 'staffed' AND id IN ('staff', 'temp')$$);
SELECT as_owner($$INSERT INTO orgusers.role_template_permissions SELECT 'staffed', t, 'joining.manage' FROM unnest(ARRAY['admin', 'owner']) t$$);
SELECT lives_ok($$SELECT orgusers.create_join_link(acme(), '{READERS}')$$, 'E2: a join link gives a role');
SELECT lives_ok($$SELECT orgusers.create_join_link(acme(), '{AUTHOR}'), orgusers.create_join_link(acme(), '{AUTHOR,READERS}')$$, 'E2: two links give another');
SELECT lives_ok($$SELECT orgusers.claim_join_domain(acme(), 'acme.example', '{AUTHOR}')$$, 'E2: a domain, too');
SELECT results_eq($$SELECT * FROM orgusers.role_usage(acme(), 'AUTHOR')$$, $$VALUES (2::bigint, 1::bigint, 1::bigint, 1::bigint, 3::bigint, 1::bigint, 2::bigint, 1::bigint)$$,
    'E2: the effect on users, groups and open invitations is read before');
SELECT results_eq($$SELECT * FROM orgusers.role_usage(acme(), 'TEMP')$$, $$VALUES (0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint)$$, 'E2: a role nobody holds touches nobody');
SELECT throws_ok($$SELECT * FROM orgusers.role_usage(acme(), 'NONE')$$, 'OU103', NULL, 'E2: of no role there is no usage');
SELECT act('cyd');
SELECT lives_ok($$SELECT * FROM orgusers.role_usage(acme(), 'AUTHOR')$$, 'E2: who manages roles reads it');

-- E2: deleting
SELECT act('bob');
SELECT lives_ok($$SELECT orgusers.delete_role(acme(), 'AUTHOR')$$, 'E2: a role is deleted');
SELECT is(active('Acme'), 'ann bob cyd dan fay', 'E2: its holders stay users');
SELECT is(roles_of('Acme', 'dan'), '', 'E2: without it');
SELECT results_eq($$SELECT email::text, roles FROM orgusers.list_invitations(acme(), 'pending') ORDER BY 1$$,
    $$VALUES ('gus@example.org', '{}'::text[]), ('una@example.org', '{READERS}'), ('x1@example.org', '{READERS}'), ('x2@example.org', '{READERS}')$$, 'E2: open invitations no longer give it');
SELECT act('dan');
SELECT is(orgusers.can(acme(), 'docs.write'), false, 'E2: its holder''s rights end at once');
SELECT act('bob');
SELECT lives_ok($$SELECT orgusers.create_role(acme(), 'AUTHOR', '{docs.write}', 'staff')$$, 'E2: a role of the same name is made');
SELECT results_eq($$SELECT * FROM orgusers.role_usage(acme(), 'AUTHOR')$$, $$VALUES (0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint)$$, 'E2: it revives nothing');
SELECT act('gus');
SELECT lives_ok($$SELECT orgusers.accept_my_invitation(acme(), inv('Acme', 'gus'))$$, 'E2: an invitation that is left without roles is accepted');
SELECT is(roles_of('Acme', 'gus'), '', 'E2: and gives none');
SELECT results_eq($$SELECT orgusers.is_member(acme()), orgusers.can(acme(), 'docs.write')$$, $$VALUES (true, false)$$, 'E2: its user has no rights');
SELECT act('fay');
SELECT is((SELECT count(*)::int FROM orgusers.list_users(acme(), 'fay') WHERE groups = '{press}'), 1, 'E2: a group loses the role and keeps its users');

-- E2: an edited role counts at acceptance by what the inviter has then
SELECT act('cyd');
SELECT lives_ok($$SELECT orgusers.invite_user(acme(), 'una@example.org', '{READERS}', send => false)$$, 'E2: a HELPER invites with READERS') FROM orgusers.cancel_invitation(acme(), inv('Acme', 'una'));
SELECT as_owner($$UPDATE orgusers.users SET email_verified_at = now() WHERE email = 'una@example.org'$$);
SELECT act('bob');
SELECT lives_ok($$SELECT orgusers.edit_role(acme(), 'READERS', permissions => '{docs.read,docs.write}')$$, 'E2: READERS permits more by now');
SELECT act('una');
SELECT throws_ok($$SELECT orgusers.accept_my_invitation(acme(), inv('Acme', 'una'))$$, 'OU210', NULL, 'E2: an inviter who has less than the role gives it no more');

-- What direct DML cannot do
RESET ROLE;
SELECT throws_ok($$UPDATE orgusers.roles SET edited = true WHERE name = 'OWNER' AND org_id = org('Acme')$$, '23503', NULL, 'E2: a fixed role is not edited by direct DML');
SELECT throws_ok($$UPDATE orgusers.roles SET template = 'owner' WHERE name = 'AUTHOR'$$, '23503', NULL, 'E2: nor does an edited one become fixed');
SELECT throws_ok($$UPDATE orgusers.role_templates SET editable = false WHERE id = 'staff'$$, '23503', NULL, 'E2: nor its template, while there are edited ones');
SELECT throws_ok($$UPDATE orgusers.role_templates SET reaches_below = true WHERE id = 'staff'$$, '23514', NULL, 'E2: what an organization edits does not reach into others');
SELECT lives_ok($$UPDATE orgusers.role_templates SET id = 'crew' WHERE id = 'staff'$$, 'E2: a template''s id can change');
SELECT is((SELECT template FROM orgusers.roles WHERE name = 'AUTHOR'), 'crew', 'E2: and its roles follow');
SELECT throws_ok($$INSERT INTO orgusers.role_permissions SELECT org('Other'), role_id('AUTHOR'), 'docs.read'$$, '23503', NULL, 'E2: a role''s permissions are of its organization');

-- F8: handing over
SELECT orgusers.set_plan(:'acme', 'paid', person('ann'));
SET LOCAL ROLE regress_ou_app;
SELECT act('bob');
SELECT throws_ok($$SELECT orgusers.hand_over(acme(), person('cyd'))$$, 'OU108', NULL, 'F8: who does not own hands nothing over');
SELECT act('ann');
SELECT throws_ok($$SELECT orgusers.hand_over(acme(), person('ann'))$$, 'OU109', NULL, 'F8: nobody hands over to themselves');
SELECT throws_ok($$SELECT orgusers.hand_over(acme(), person('eve'))$$, 'OU102', NULL, 'F8: nor to an outsider');
SELECT throws_ok($$SELECT orgusers.hand_over(acme(), NULL)$$, 'OU102', NULL, 'F8: nor to nobody');
SELECT as_owner($$UPDATE orgusers.memberships SET status = 'deactivated', deactivated_at = now() WHERE user_id = person('bob')$$);
SELECT throws_ok($$SELECT orgusers.hand_over(acme(), person('bob'))$$, 'OU110', NULL, 'F8: nor to a deactivated user');
SELECT as_owner($$UPDATE orgusers.memberships SET status = 'active', deactivated_at = NULL WHERE user_id = person('bob')$$);
SELECT throws_ok($$SELECT orgusers.hand_over(acme(), person('bob'), true)$$, 'OU304', NULL, 'F8: a role that only one can hold is not kept');
SELECT is(roles_of('Acme', 'ann') || ',' || roles_of('Acme', 'bob') || ',' || mails('bob'), 'OWNER,ADMIN,', 'F8: a refusal changes nothing and mails nobody');
SELECT lives_ok($$SELECT orgusers.hand_over(acme(), person('bob'))$$, 'F8: the owner hands over in one step, though nobody changes their own roles');
SELECT is(roles_of('Acme', 'ann') || ',' || roles_of('Acme', 'bob'), ',ADMIN OWNER', 'F8: the receiver has the role, the giver has it no more');
SELECT act('bob');
SELECT is((SELECT user_id FROM orgusers.list_users(acme()) WHERE is_billing_admin), person('bob'), 'F8: the receiver is the billing admin');
SELECT is(mails('ann') || ',' || mails('bob'), 'billing_admin_changed billing_admin_changed,billing_admin_changed', 'F8: and both have mail about it');
SELECT is(orgusers.can(acme(), 'billing.manage'), true, 'F8: the receiver''s rights are there at once');
SELECT act('ann');
SELECT is(orgusers.is_member(acme()) AND NOT orgusers.can(acme(), 'organization.view'), true, 'F8: the giver stays a user');
SELECT throws_ok($$SELECT orgusers.hand_over(acme(), person('cyd'))$$, 'OU108', NULL, 'F8: and hands over nothing twice');
SELECT lives_ok($$SELECT as_owner('SET CONSTRAINTS ALL IMMEDIATE')$$, 'F8: the rules hold at commit');

-- F8: where more than one can hold the role, the giver may keep it, and billing goes along only if it is the giver's
SELECT act('eve');
SELECT enlist('Other', 'fay'), enlist('Other', 'gus');
SELECT as_owner(format($$SELECT orgusers.set_plan(%L, 'paid', %L)$$, org('Other'), person('gus')));
SELECT lives_ok($$SELECT orgusers.hand_over(org('Other'), person('fay'), true)$$, 'F8: the role can be shared');
SELECT is(roles_of('Other', 'eve') || ',' || roles_of('Other', 'fay'), 'ADMIN,ADMIN USER', 'F8: then both have it');
SELECT is((SELECT user_id FROM orgusers.list_users(org('Other')) WHERE is_billing_admin), person('gus'), 'F8: another billing admin stays');
SELECT lives_ok($$SELECT orgusers.hand_over(org('Other'), person('fay'))$$, 'F8: to one who has the role already, it is given up');
SELECT is(roles_of('Other', 'eve') || ',' || roles_of('Other', 'fay'), ',ADMIN USER', 'F8: then one has it');

SELECT * FROM finish();
ROLLBACK;
