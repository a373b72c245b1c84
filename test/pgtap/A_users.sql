-- Users, roles and groups of an organization under the policy plans_and_groups.
BEGIN;
\ir setup.psql
SELECT no_plan();

SET LOCAL ROLE regress_ou_app;
SELECT act('ann');
DO $$ BEGIN
    PERFORM orgusers.create_my_organization('Acme', 'plans_and_groups');
    PERFORM enlist('Acme', 'bob');
    PERFORM enlist('Acme', 'cyd', 'ADMIN');
    PERFORM act('eve');
    PERFORM orgusers.create_my_organization('Other', 'plans_and_groups');
    PERFORM enlist('Other', 'fay');
    PERFORM act('ann');
END $$;

-- A1: who may list and manage
SELECT is(roles_of('Acme', 'ann'), 'ADMIN', 'A1: the founder has the role ADMIN');
SELECT results_eq($$SELECT email::text, roles, status FROM orgusers.list_users(org('Acme'))$$,
    $$VALUES ('ann@example.org', '{ADMIN}'::text[], 'active'), ('bob@example.org', '{USER}', 'active'), ('cyd@example.org', '{ADMIN}', 'active')$$,
    'A1: an ADMIN lists the users');
SELECT is_empty($$SELECT * FROM orgusers.list_invitations(org('Acme'))$$, 'A1: an ADMIN lists the invitations');

-- Every flow of user administration, asked by people who may not; no row of it may depend on who else is refused.
CREATE FUNCTION pg_temp.managing(called text) RETURNS TABLE (what text, statement text) LANGUAGE sql AS $$
    SELECT w, replace(s, '%', quote_literal(org(called)) || '::uuid') FROM (VALUES
        ('rename_organization', 'SELECT orgusers.rename_organization(%, ''Mine'')'),
        ('delete_organization', 'SELECT orgusers.delete_organization(%)'),
        ('list_users', 'SELECT orgusers.list_users(%)'),
        ('list_users with a search', 'SELECT orgusers.list_users(%, ''ann'')'),
        ('set_user_roles of oneself', 'SELECT orgusers.set_user_roles(%, orgusers.current_user_id(), ''{ADMIN}'')'),
        ('set_user_roles of another', 'SELECT orgusers.set_user_roles(%, person(''cyd''), ''{}'')'),
        ('set_user_groups', 'SELECT orgusers.set_user_groups(%, orgusers.current_user_id(), ''{chiefs}'')'),
        ('remove_user', 'SELECT orgusers.remove_user(%, person(''cyd''))'),
        ('remove_user of oneself', 'SELECT orgusers.remove_user(%, orgusers.current_user_id())'),
        ('deactivate_user', 'SELECT orgusers.deactivate_user(%, person(''cyd''))'),
        ('reactivate_user', 'SELECT orgusers.reactivate_user(%, person(''cyd''))'),
        ('create_group', 'SELECT orgusers.create_group(%, ''mine'', ''{ADMIN}'')'),
        ('rename_group', 'SELECT orgusers.rename_group(%, ''chiefs'', ''mine'')'),
        ('delete_group', 'SELECT orgusers.delete_group(%, ''chiefs'')'),
        ('set_group_roles', 'SELECT orgusers.set_group_roles(%, ''chiefs'', ''{}'')'),
        ('set_billing_admin', 'SELECT orgusers.set_billing_admin(%, orgusers.current_user_id())'),
        ('set_billing_cc', 'SELECT orgusers.set_billing_cc(%, ''{x@example.org}'')'),
        ('billing_contact', 'SELECT orgusers.billing_contact(%)'),
        ('invite_user', 'SELECT orgusers.invite_user(%, ''x@example.org'', ''{USER}'')'),
        ('invite_user to a group', 'SELECT orgusers.invite_user(%, ''x@example.org'', groups => ''{chiefs}'')'),
        ('list_invitations', 'SELECT orgusers.list_invitations(%)'),
        ('resend_invitation', 'SELECT orgusers.resend_invitation(%, inv(''Acme'', ''dan''))'),
        ('invitation_link', 'SELECT orgusers.invitation_link(%, inv(''Acme'', ''dan''))'),
        ('cancel_invitation', 'SELECT orgusers.cancel_invitation(%, inv(''Acme'', ''dan''))'),
        ('remove_invitation', 'SELECT orgusers.remove_invitation(%, inv(''Acme'', ''dan''))')) AS v (w, s)
$$;
SELECT lives_ok($$SELECT orgusers.create_group(org('Acme'), 'chiefs', '{ADMIN}')$$, 'A4: an ADMIN makes a group that carries ADMIN');
SELECT as_owner($$UPDATE orgusers.plans SET seats = 4 WHERE id = 'free'$$);
SELECT lives_ok($$SELECT orgusers.invite_user(org('Acme'), 'dan@example.org')$$, 'A1: an ADMIN invites');

SELECT act('bob');
SELECT throws_ok(statement, 'OU002', NULL, 'A1: a USER is refused ' || what) FROM pg_temp.managing('Acme');
SELECT act('eve');
SELECT throws_ok(statement, 'OU101', NULL, 'A1: the ADMIN of another organization is refused ' || what) FROM pg_temp.managing('Acme');
SELECT act('gus');
SELECT throws_ok(statement, 'OU101', NULL, 'A1: an outsider is refused ' || what) FROM pg_temp.managing('Acme');
SELECT act(NULL);
SELECT throws_ok(statement, 'OU001', NULL, 'A1: an anonymous session is refused ' || what) FROM pg_temp.managing('Acme');
SELECT act('bob');
SELECT as_owner($$UPDATE orgusers.memberships SET status = 'deactivated', deactivated_at = now() WHERE user_id = person('cyd')$$);
SELECT act('cyd');
SELECT throws_ok(statement, 'OU101', NULL, 'A1: a deactivated ADMIN is refused ' || what) FROM pg_temp.managing('Acme');
SELECT as_owner($$UPDATE orgusers.memberships SET status = 'active', deactivated_at = NULL WHERE user_id = person('cyd')$$);
SELECT is((SELECT count(*)::int FROM orgusers.list_users(org('Acme'))), 3, 'A1: reactivated, the ADMIN lists again');

-- Rights follow the role at once, in the same transaction and under a prepared statement.
SELECT act('bob');
PREPARE may AS SELECT orgusers.can(org('Acme'), 'users.view');
SELECT results_eq('EXECUTE may', ARRAY[false], 'A1: a USER has no users.view');
SELECT act('ann');
SELECT lives_ok($$SELECT orgusers.set_user_groups(org('Acme'), person('bob'), '{chiefs}')$$, 'A4: groups of a user are edited');
SELECT act('bob');
SELECT results_eq('EXECUTE may', ARRAY[true], 'A1: a group that carries ADMIN gives user administration');
SELECT lives_ok($$SELECT * FROM orgusers.list_users(org('Acme'))$$, 'A1: and with it the list of users');
SELECT ok(orgusers.has_role(org('Acme'), 'ADMIN'), 'A4: a role that comes by a group is held');
SELECT act('ann');
SELECT results_eq($$SELECT roles, groups FROM orgusers.list_users(org('Acme'), 'bob')$$, $$VALUES ('{USER}'::text[], '{chiefs}'::text[])$$,
    'A4: the list shows groups beside the roles held directly');
SELECT lives_ok($$SELECT orgusers.set_group_roles(org('Acme'), 'chiefs', '{}')$$, 'A4: a group''s roles are edited');
SELECT act('bob');
SELECT results_eq('EXECUTE may', ARRAY[false], 'A1: the group without ADMIN gives it no more');
SELECT act('ann');
SELECT lives_ok($$SELECT orgusers.set_user_groups(org('Acme'), person('bob'), NULL)$$, 'A4: NULL takes a user out of every group');
SELECT is((SELECT groups FROM orgusers.list_users(org('Acme'), 'bob')), '{}', 'A4: and the list says so');

-- A2: name
SELECT results_eq($$SELECT name FROM orgusers.organizations WHERE id = org('Acme')$$, ARRAY['Acme'], 'A2: the name is shown to an ADMIN');
SELECT lives_ok($$SELECT orgusers.rename_organization(org('Acme'), 'Acme & Söhne')$$, 'A2: an ADMIN renames the organization');
SELECT results_eq($$SELECT name FROM orgusers.my_organizations()$$, ARRAY['Acme & Söhne'], 'A2: and sees the new name');
SELECT lives_ok($$SELECT orgusers.rename_organization(org('Acme & Söhne'), 'Acme')$$, 'A2: back again');
SELECT throws_ok($$SELECT orgusers.rename_organization(org('Acme'), '$$ || bad || $$')$$, 'OU106', NULL, 'A2: refused as a name: ' || what)
    FROM (VALUES ('', 'nothing'), (' ', 'a blank'), ('Acme ', 'a blank at the end'), (repeat('x', 201), '201 characters'), (E'A\nB', 'a line feed'),
                 (E'A\tB', 'a tabulator'), (E'\x1b[2J', 'an escape sequence')) AS v (bad, what);
SELECT lives_ok($$SELECT orgusers.rename_organization(org('Acme'), repeat('x', 200))$$, 'A2: 200 characters are a name');
SELECT lives_ok($$SELECT orgusers.rename_organization(org(repeat('x', 200)), 'Acme')$$, 'A2: back again');
SELECT act('bob');
SELECT results_eq($$SELECT name FROM orgusers.organizations$$, ARRAY['Acme'], 'A2: a USER sees the name of the own organization only');

-- A4: roles and removal
SELECT act('ann');
SELECT lives_ok($$SELECT orgusers.set_user_roles(org('Acme'), person('bob'), '{USER,ADMIN}')$$, 'A4: an ADMIN gives a further role');
SELECT is(roles_of('Acme', 'bob'), 'ADMIN USER', 'A4: both are held');
SELECT lives_ok($$SELECT orgusers.set_user_roles(org('Acme'), person('bob'), '{USER,USER}')$$, 'A4: a role named twice is given once');
SELECT is(roles_of('Acme', 'bob'), 'USER', 'A4: ADMIN is taken');
SELECT lives_ok($$SELECT orgusers.set_user_roles(org('Acme'), person('bob'), NULL)$$, 'A4: NULL takes every role');
SELECT is(roles_of('Acme', 'bob'), '', 'A4: none is left');
SELECT act('bob');
SELECT is(orgusers.can(org('Acme'), 'organization.view'), false, 'A4: a user without a role may nothing');
SELECT ok(orgusers.is_member(org('Acme')), 'A4: but is a user still');
SELECT throws_ok($$SELECT orgusers.list_users(org('Acme'))$$, 'OU002', NULL, 'A1: a user without a role is refused the list');
SELECT act('ann');
SELECT throws_ok($$SELECT orgusers.set_user_roles(org('Acme'), person('bob'), '{USER,BOSS}')$$, 'OU103', NULL, 'A4: a role that does not exist is refused');
SELECT throws_ok($$SELECT orgusers.set_user_roles(org('Acme'), person('bob'), '{user}')$$, 'OU103', NULL, 'A4: roles are named letter by letter');
SELECT throws_ok($$SELECT orgusers.set_user_roles(org('Acme'), person('bob'), '{NULL}')$$, 'OU103', NULL, 'A4: NULL is no role''s name');
SELECT is(roles_of('Acme', 'bob'), '', 'A4: a refused call changes nothing');
SELECT throws_ok($$SELECT orgusers.set_user_roles(org('Acme'), person('fay'), '{USER}')$$, 'OU102', NULL, 'A4: a user of another organization is none here');
SELECT throws_ok($$SELECT orgusers.set_user_groups(org('Acme'), person('bob'), '{nobody}')$$, 'OU104', NULL, 'A4: a group that does not exist is refused');
SELECT throws_ok($$SELECT orgusers.set_user_groups(org('Acme'), person('fay'), '{chiefs}')$$, 'OU102', NULL, 'A4: nor can groups be given to one');
SELECT throws_ok($$SELECT orgusers.remove_user(org('Acme'), person('fay'))$$, 'OU102', NULL, 'A4: nor can one be removed');
SELECT throws_ok($$SELECT orgusers.deactivate_user(org('Acme'), person('fay'))$$, 'OU102', NULL, 'A4: nor deactivated');
SELECT throws_ok($$SELECT orgusers.reactivate_user(org('Acme'), person('fay'))$$, 'OU102', NULL, 'A4: nor reactivated');
SELECT lives_ok($$SELECT orgusers.set_user_roles(org('Acme'), person('bob'), '{USER}')$$, 'A4: a role is given to a user without one');

-- Groups
SELECT throws_ok($$SELECT orgusers.create_group(org('Acme'), 'chiefs')$$, 'OU107', NULL, 'A4: a group''s name is used once');
SELECT throws_ok($$SELECT orgusers.create_group(org('Acme'), ' ')$$, 'OU106', NULL, 'A4: a blank is no group''s name');
SELECT throws_ok($$SELECT orgusers.create_group(org('Acme'), 'staff', '{BOSS}')$$, 'OU103', NULL, 'A4: a group cannot carry a role that does not exist');
SELECT throws_ok($$SELECT orgusers.delete_group(org('Acme'), 'staff')$$, 'OU104', NULL, 'A4: the refused group was not made');
SELECT lives_ok($$SELECT orgusers.create_group(org('Acme'), 'staff', '{USER}')$$, 'A4: a group is made');
SELECT throws_ok($$SELECT orgusers.rename_group(org('Acme'), 'staff', 'chiefs')$$, 'OU107', NULL, 'A4: a group cannot take another''s name');
SELECT lives_ok($$SELECT orgusers.rename_group(org('Acme'), 'staff', 'team')$$, 'A4: a group is renamed');
SELECT lives_ok($$SELECT orgusers.set_user_groups(org('Acme'), person('bob'), '{team,chiefs}')$$, 'A4: a user is in several groups');
SELECT lives_ok($$SELECT orgusers.set_user_groups(org('Acme'), person('bob'), '{team}')$$, 'A4: and in fewer');
SELECT is((SELECT groups FROM orgusers.list_users(org('Acme'), 'bob')), '{team}', 'A4: exactly those named are left');
SELECT lives_ok($$SELECT orgusers.delete_group(org('Acme'), 'team')$$, 'A4: a group is deleted');
SELECT is((SELECT groups FROM orgusers.list_users(org('Acme'), 'bob')), '{}', 'A4: its users are in it no more');
SELECT throws_ok($$SELECT orgusers.set_user_groups(org('Other'), person('fay'), '{}')$$, 'OU101', NULL, 'A4: an ADMIN is nobody in another organization');

-- A role that does not grant: no way round it by groups, invitations or removal.
SELECT as_owner($$INSERT INTO orgusers.role_templates (policy, id, name) VALUES ('plans_and_groups', 'clerk', 'CLERK')$$);
SELECT as_owner($$INSERT INTO orgusers.role_template_permissions (policy, template, permission)
    SELECT 'plans_and_groups', 'clerk', permission FROM orgusers.role_template_permissions WHERE template = 'admin'$$);
SELECT as_owner($$INSERT INTO orgusers.role_template_grants VALUES ('plans_and_groups', 'clerk', 'user'), ('plans_and_groups', 'clerk', 'clerk')$$);
SELECT as_owner($$INSERT INTO orgusers.roles (org_id, policy, template, name) VALUES (org('Acme'), 'plans_and_groups', 'clerk', 'CLERK')$$);
SELECT as_owner($$INSERT INTO orgusers.membership_roles SELECT org_id, person('bob'), id FROM orgusers.roles WHERE name = 'CLERK'$$);
SELECT lives_ok($$SELECT orgusers.set_group_roles(org('Acme'), 'chiefs', '{ADMIN}')$$, 'A4: the group carries ADMIN again');
SELECT throws_ok($$SELECT orgusers.set_user_roles(org('Acme'), person('bob'), '{USER}')$$, 'OU108', NULL, 'A4: nor does an ADMIN take a role that ADMIN does not grant');
SELECT act('bob');
SELECT throws_ok(s, 'OU108', NULL, 'A4: who may not give ADMIN is refused: ' || s) FROM (VALUES
    ($$SELECT orgusers.set_user_roles(org('Acme'), person('bob'), '{USER,CLERK,ADMIN}')$$),
    ($$SELECT orgusers.set_user_roles(org('Acme'), person('cyd'), '{USER}')$$),
    ($$SELECT orgusers.set_user_groups(org('Acme'), person('bob'), '{chiefs}')$$),
    ($$SELECT orgusers.set_group_roles(org('Acme'), 'chiefs', '{USER}')$$),
    ($$SELECT orgusers.create_group(org('Acme'), 'trick', '{ADMIN}')$$),
    ($$SELECT orgusers.delete_group(org('Acme'), 'chiefs')$$),
    ($$SELECT orgusers.remove_user(org('Acme'), person('cyd'))$$),
    ($$SELECT orgusers.deactivate_user(org('Acme'), person('cyd'))$$),
    ($$SELECT orgusers.invite_user(org('Acme'), 'x@example.org', '{ADMIN}')$$),
    ($$SELECT orgusers.invite_user(org('Acme'), 'x@example.org', '{USER}', '{chiefs}')$$)) AS v (s);
SELECT act('ann');
SELECT lives_ok($$SELECT orgusers.cancel_invitation(org('Acme'), inv('Acme', 'dan'))$$, 'A7: an invitation is withdrawn');
SELECT lives_ok($$SELECT orgusers.invite_user(org('Acme'), 'dan@example.org', '{ADMIN}')$$, 'A1: an ADMIN invites an ADMIN');
SELECT lives_ok($$SELECT orgusers.deactivate_user(org('Acme'), person('cyd'))$$, 'A4: an ADMIN deactivates another');
SELECT act('bob');
SELECT throws_ok($$SELECT orgusers.resend_invitation(org('Acme'), inv('Acme', 'dan'))$$, 'OU108', NULL, 'A7: who may not give ADMIN does not send such an invitation again');
SELECT throws_ok($$SELECT orgusers.invitation_link(org('Acme'), inv('Acme', 'dan'))$$, 'OU108', NULL, 'A7: nor gets a link of it');
SELECT throws_ok($$SELECT orgusers.reactivate_user(org('Acme'), person('cyd'))$$, 'OU108', NULL, 'A4: nor reactivates an ADMIN');
SELECT lives_ok($$SELECT orgusers.create_group(org('Acme'), 'clerks', '{CLERK}')$$, 'A4: but carries on with what it may give');
SELECT act('ann');
SELECT lives_ok($$SELECT orgusers.reactivate_user(org('Acme'), person('cyd'))$$, 'A4: an ADMIN reactivates the other');
SELECT is(roles_of('Acme', 'cyd'), 'ADMIN', 'A4: who has the same roles as before');

-- The last ADMIN stays, on every path.
SELECT lives_ok($$SELECT orgusers.set_user_roles(org('Acme'), person('ann'), '{USER}')$$, 'A4: an ADMIN takes the role from oneself while there is another');
SELECT throws_ok($$SELECT orgusers.set_user_roles(org('Acme'), person('ann'), '{ADMIN}')$$, 'OU002', NULL, 'A4: and cannot take it back');
SELECT act('cyd');
SELECT throws_ok($$SELECT orgusers.set_user_roles(org('Acme'), person('cyd'), '{USER}')$$, 'OU303', NULL, 'A4: the last ADMIN keeps the role');
SELECT throws_ok($$SELECT orgusers.set_user_roles(org('Acme'), person('cyd'), NULL)$$, 'OU303', NULL, 'A4: also against NULL');
SELECT throws_ok($$SELECT orgusers.remove_user(org('Acme'), person('cyd'))$$, 'OU303', NULL, 'A4: the last ADMIN is not removed');
SELECT throws_ok($$SELECT orgusers.deactivate_user(org('Acme'), person('cyd'))$$, 'OU303', NULL, 'A4: nor deactivated');
SELECT is(roles_of('Acme', 'cyd'), 'ADMIN', 'A4: and has the role afterwards');
RESET ROLE;
SELECT throws_ok(format('SELECT and_commit(%L)', s), 'OU303', NULL, 'A4: the last ADMIN stays against the owner''s ' || s) FROM (VALUES
    ($$DELETE FROM orgusers.memberships WHERE user_id = person('cyd')$$),
    ($$DELETE FROM orgusers.membership_roles WHERE user_id = person('cyd')$$),
    ($$UPDATE orgusers.memberships SET status = 'deactivated', deactivated_at = now() WHERE user_id = person('cyd')$$),
    ($$UPDATE orgusers.membership_roles SET role_id = (SELECT id FROM orgusers.roles WHERE org_id = org('Acme') AND name = 'USER') WHERE user_id = person('cyd')$$),
    ($$UPDATE orgusers.roles SET template = 'user' WHERE org_id = org('Acme') AND name = 'ADMIN'$$),
    ($$DELETE FROM orgusers.roles WHERE org_id = org('Acme') AND name = 'ADMIN'$$),
    ($$DELETE FROM orgusers.users WHERE id = person('cyd')$$),
    ($$MERGE INTO orgusers.membership_roles t USING (SELECT person('cyd') AS id) s ON t.user_id = s.id WHEN MATCHED THEN DELETE$$),
    ($$INSERT INTO orgusers.memberships (org_id, user_id) VALUES (org('Acme'), person('cyd')) ON CONFLICT (org_id, user_id) DO UPDATE SET status = 'deactivated', deactivated_at = now()$$)) AS v (s);
DELETE FROM orgusers.membership_roles WHERE user_id = person('cyd');
INSERT INTO orgusers.membership_roles SELECT org_id, person('ann'), id FROM orgusers.roles WHERE org_id = org('Acme') AND name = 'ADMIN';
SELECT lives_ok($$SELECT and_commit('')$$, 'A4: handing the role over in two steps is no violation');
SET LOCAL ROLE regress_ou_app;
SELECT act('ann');
SELECT lives_ok($$SELECT orgusers.set_user_roles(org('Acme'), person('cyd'), '{ADMIN}')$$, 'A4: the new ADMIN gives it back');

-- Removal ends everything.
SELECT as_owner($$UPDATE orgusers.plans SET seats = 5 WHERE id = 'free'$$);
SELECT enlist('Acme', 'gus', 'ADMIN');
SELECT act('gus');
SELECT lives_ok($$SELECT orgusers.remove_user(org('Acme'), person('gus'))$$, 'A4: an ADMIN leaves, as this policy allows');
SELECT is(orgusers.is_member(org('Acme')), false, 'A4: and is out');
SELECT is(mails('gus'), '', 'A4: without mail about what one did oneself');
SELECT act('ann');
SELECT lives_ok($$SELECT orgusers.set_user_groups(org('Acme'), person('cyd'), '{chiefs}')$$, 'A4: before the removal there are roles and groups');
SELECT lives_ok($$SELECT orgusers.remove_user(org('Acme'), person('cyd'))$$, 'A4: a user is removed');
SELECT is(active('Acme'), 'ann bob', 'A4: and is in the list no more');
SELECT matches(mails('cyd'), ' user_removed$', 'A4: the removed user gets mail');
RESET ROLE;
SELECT is((SELECT count(*)::int FROM orgusers.membership_roles WHERE user_id = person('cyd')), 0, 'A4: removal leaves no roles');
SELECT is((SELECT count(*)::int FROM orgusers.group_members WHERE user_id = person('cyd')), 0, 'A4: removal leaves no groups');
SET LOCAL ROLE regress_ou_app;
SELECT act('cyd');
SELECT is(orgusers.can(org('Acme'), 'organization.view'), false, 'A4: removal ends the rights at once');
SELECT is(orgusers.is_member(org('Acme')), false, 'A4: and being a user');
SELECT throws_ok($$SELECT orgusers.list_users(org('Acme'))$$, 'OU101', NULL, 'A4: and the removed ADMIN is an outsider');
SELECT is_empty('SELECT * FROM orgusers.my_organizations()', 'A4: with no organization in the own list');
SELECT act('ann');
SELECT throws_ok($$SELECT orgusers.remove_user(org('Acme'), person('cyd'))$$, 'OU102', NULL, 'A4: nobody is removed twice');

-- Deactivation: no rights, no seat, nothing lost.
SELECT as_owner($$DELETE FROM orgusers.membership_roles WHERE role_id IN (SELECT id FROM orgusers.roles WHERE name = 'CLERK')$$);
SELECT lives_ok($$SELECT orgusers.set_user_groups(org('Acme'), person('bob'), '{chiefs}')$$, 'A4: a user in a group');
SELECT lives_ok($$SELECT orgusers.deactivate_user(org('Acme'), person('bob'))$$, 'A4: is deactivated');
SELECT lives_ok($$SELECT orgusers.deactivate_user(org('Acme'), person('bob'))$$, 'A4: twice is no error');
SELECT results_eq($$SELECT status, groups FROM orgusers.list_users(org('Acme'), 'bob')$$, $$VALUES ('deactivated', '{chiefs}'::text[])$$,
    'A4: and stays in the list with groups and status');
SELECT act('bob');
SELECT is(orgusers.can(org('Acme'), 'users.view'), false, 'A4: deactivated, a user has no rights');
SELECT is(orgusers.orgs_with('organization.view'), '{}', 'A4: in no list of organizations');
SELECT is(orgusers.has_role(org('Acme'), 'ADMIN'), false, 'A4: nor the role of a group');
SELECT results_eq('SELECT name, status FROM orgusers.my_organizations()', $$VALUES ('Acme', 'deactivated')$$, 'A4: and sees why');
SELECT throws_ok($$SELECT orgusers.switch_organization(org('Acme'))$$, 'OU101', NULL, 'A12: nobody switches to an organization where one is deactivated');
SELECT act('ann');
SELECT lives_ok($$SELECT orgusers.reactivate_user(org('Acme'), person('bob'))$$, 'A4: is reactivated');
SELECT lives_ok($$SELECT orgusers.reactivate_user(org('Acme'), person('bob'))$$, 'A4: twice is no error');
SELECT act('bob');
SELECT ok(orgusers.can(org('Acme'), 'users.view'), 'A4: and has the rights of roles and groups again');

-- Where the policy forbids doing it to oneself
SELECT act('ann');
SELECT orgusers.set_user_roles(org('Acme'), person('ann'), '{USER,ADMIN}');
SELECT orgusers.set_user_roles(org('Acme'), person('bob'), '{ADMIN}');
SELECT as_owner($$UPDATE orgusers.policies SET own_role_change = false, self_removal = false$$);
SELECT as_owner($$UPDATE orgusers.memberships SET invited_by = person('cyd') WHERE org_id = org('Acme') AND user_id = person('bob')$$);
SELECT act('bob');
SELECT throws_ok(s, 'OU109', NULL, 'A4: where the policy says so, nobody may: ' || s) FROM (VALUES
    ($$SELECT orgusers.set_user_roles(org('Acme'), person('bob'), '{USER,ADMIN}')$$),
    ($$SELECT orgusers.set_user_roles(org('Acme'), person('bob'), '{}')$$),
    ($$SELECT orgusers.set_user_groups(org('Acme'), person('bob'), '{}')$$),
    ($$SELECT orgusers.set_group_roles(org('Acme'), 'chiefs', '{USER}')$$),
    ($$SELECT orgusers.remove_user(org('Acme'), person('bob'))$$),
    ($$SELECT orgusers.deactivate_user(org('Acme'), person('bob'))$$)) AS v (s);
SELECT lives_ok($$SELECT orgusers.set_user_roles(org('Acme'), person('ann'), '{USER,ADMIN}')$$, 'A4: but to others as before');
SELECT as_owner($$UPDATE orgusers.policies SET own_role_change = true$$);
SELECT orgusers.create_group(org('Acme'), 'bosses', '{ADMIN}');
SELECT orgusers.set_user_groups(org('Acme'), person('bob'), '{chiefs,bosses}');
SELECT as_owner($$UPDATE orgusers.policies SET own_role_change = false$$);
SELECT throws_ok($$SELECT orgusers.delete_group(org('Acme'), 'bosses')$$, 'OU109', NULL, 'A4: nor delete a group that gives oneself a role');
SELECT as_owner($$UPDATE orgusers.policies SET own_role_change = true, self_removal = true$$);

-- A role with a greatest number of users
SELECT as_owner($$UPDATE orgusers.role_templates SET most_holders = 2 WHERE id = 'admin'$$);
SELECT enlist('Acme', 'fay');
SELECT act('ann');
SELECT throws_ok($$SELECT orgusers.set_user_roles(org('Acme'), person('fay'), '{ADMIN}')$$, 'OU304', NULL, 'A4: a role is given to no more users than the policy allows');
SELECT lives_ok($$SELECT orgusers.deactivate_user(org('Acme'), person('bob'))$$, 'A4: a deactivated user does not count');
SELECT lives_ok($$SELECT orgusers.set_user_roles(org('Acme'), person('fay'), '{ADMIN}')$$, 'A4: so another gets the role');
SELECT throws_ok($$SELECT orgusers.reactivate_user(org('Acme'), person('bob'))$$, 'OU304', NULL, 'A4: and reactivation would be one too many');
SELECT orgusers.invite_user(org('Acme'), 'gus@example.org', '{ADMIN}', send => false);
SELECT act('gus');
SELECT throws_ok($$SELECT orgusers.accept_my_invitation(org('Acme'), inv('Acme', 'gus'))$$, 'OU304', NULL, 'A4: and so would accepting be');
SELECT act('ann');
SELECT orgusers.cancel_invitation(org('Acme'), inv('Acme', 'gus'));
SELECT orgusers.remove_user(org('Acme'), person('fay'));
SELECT lives_ok($$SELECT orgusers.reactivate_user(org('Acme'), person('bob'))$$, 'A4: until a holder is gone');
SELECT as_owner($$UPDATE orgusers.role_templates SET most_holders = NULL$$);

-- Searching and paging
SELECT act('ann');
SELECT results_eq($$SELECT email::text FROM orgusers.list_users(org('Acme'), 'BOB')$$, ARRAY['bob@example.org'], 'A1: the search is without case');
SELECT is_empty($$SELECT * FROM orgusers.list_users(org('Acme'), '%')$$, 'A1: a percent sign in the search is itself');
SELECT results_eq($$SELECT email::text FROM orgusers.list_users(org('Acme'), NULL, 'Ann@Example.org', 1)$$, ARRAY['bob@example.org'], 'A1: the next page begins behind the address given');
SELECT is((SELECT count(*)::int FROM orgusers.list_users(org('Acme'), page => 0)), 1, 'A1: a page has at least one row');
SELECT is((SELECT count(*) FROM orgusers.list_users(org('Acme'), page => NULL)), (SELECT count(*) FROM orgusers.list_users(org('Acme'))), 'A1: NULL is no size of a page, so the usual one');

-- A14 and A12: several organizations
SELECT lives_ok($$SELECT orgusers.create_my_organization('Beta', 'plans_and_groups')$$, 'A14: a user founds a second organization');
SELECT enlist('Other', 'ann');
SELECT results_eq('SELECT name, roles, is_current FROM orgusers.my_organizations()',
    $$VALUES ('Acme', '{ADMIN,USER}'::text[], true), ('Beta', '{ADMIN}', false), ('Other', '{USER}', false)$$, 'A14: one user belongs to many organizations, in each with the roles there');
SELECT is(orgusers.current_organization_id(), org('Acme'), 'A12: the first organization is the current one');
SELECT lives_ok($$SELECT orgusers.switch_organization(org('Other'))$$, 'A12: a user switches');
SELECT is(orgusers.current_organization_id(), org('Other'), 'A12: and is there');
SELECT act('eve');
SELECT is(orgusers.current_organization_id(), org('Other'), 'A12: each user has an own current organization');
SELECT act('ann');
SELECT is(orgusers.current_organization_id(), org('Other'), 'A12: it is remembered when the user comes back');
SELECT throws_ok($$SELECT orgusers.list_users(org('Other'))$$, 'OU002', NULL, 'A14: a role of one organization is none in another');
SELECT is(orgusers.orgs_with('users.view'), ARRAY[org('Acme'), org('Beta')], 'A14: nor in the list of organizations with a permission');
SELECT results_eq('SELECT org_id FROM orgusers.my_organizations() WHERE is_current', ARRAY[org('Other')], 'A12: the list marks the current one');
SELECT act('gus');
SELECT throws_ok($$SELECT orgusers.switch_organization(org('Acme'))$$, 'OU101', NULL, 'A12: nobody switches to an organization of others');
SELECT throws_ok($$SELECT orgusers.switch_organization(gen_random_uuid())$$, 'OU101', NULL, 'A12: nor to one that does not exist, and it is the same error');
SELECT act(NULL);
SELECT throws_ok($$SELECT orgusers.switch_organization(org('Acme'))$$, 'OU001', NULL, 'A12: an anonymous session has none to switch to');
SELECT is(orgusers.current_organization_id(), NULL, 'A12: nor a current one');
SELECT act('eve');
SELECT lives_ok($$SELECT orgusers.remove_user(org('Other'), person('ann'))$$, 'A14: removal from one organization');
SELECT act('ann');
SELECT results_eq('SELECT name FROM orgusers.my_organizations()', ARRAY['Acme', 'Beta'], 'A14: leaves the others');
SELECT is(orgusers.current_organization_id(), org('Acme'), 'A12: the current organization ends with the membership, and is the one chosen before');
SELECT act('eve');
SELECT orgusers.invite_user(org('Other'), 'gus@example.org', send => false);
SELECT act('gus');
SELECT is(orgusers.current_organization_id(), NULL, 'A12: who belongs to no organization has no current one');
SELECT lives_ok($$SELECT orgusers.accept_my_invitation(org('Other'), inv('Other', 'gus'))$$, 'A12: accepting an invitation');
SELECT is(orgusers.current_organization_id(), org('Other'), 'A12: the first one accepted is it');
SELECT act('eve');
SELECT orgusers.deactivate_user(org('Other'), person('gus'));
SELECT act('gus');
SELECT is(orgusers.current_organization_id(), NULL, 'A12: not while the user is deactivated there');
SELECT act('eve');
SELECT orgusers.reactivate_user(org('Other'), person('gus'));
SELECT act('gus');
SELECT is(orgusers.current_organization_id(), org('Other'), 'A12: and again afterwards');
SELECT act('eve');
SELECT orgusers.remove_user(org('Other'), person('gus'));
SELECT act('gus');
SELECT is(orgusers.current_organization_id(), NULL, 'A12: removed from the only one, there is none');
SELECT lives_ok($$SELECT orgusers.create_my_organization('Gamma', 'plans_and_groups')$$, 'A12: whoever has no current organization');
SELECT is(orgusers.current_organization_id(), org('Gamma'), 'A12: has the next one as current');
SELECT orgusers.delete_organization(org('Gamma'));

-- Deleting an organization with everything in it
SELECT act('ann');
SELECT lives_ok($$SELECT orgusers.invite_user(org('Acme'), 'gus@example.org', '{ADMIN}', '{chiefs}')$$, 'A2: an organization with open invitations');
SELECT as_owner($$SELECT orgusers.set_plan(org('Acme'), 'paid', person('bob'))$$);
SELECT org('Acme') AS acme \gset
SELECT act('bob');
SELECT orgusers.switch_organization(org('Acme'));
SELECT is(orgusers.current_organization_id(), org('Acme'), 'A12: and with somebody looking at it');
SELECT lives_ok(format('SELECT orgusers.delete_organization(%L)', :'acme'), 'A2: is deleted by an ADMIN');
RESET ROLE;
SET CONSTRAINTS ALL IMMEDIATE;
SELECT is((xpath('/row/n/text()', query_to_xml(format('SELECT count(*) AS n FROM orgusers.%I WHERE org_id = %L', c.relname, :'acme'), false, true, '')))[1]::text,
          '0', 'A2: nothing is left of it in ' || c.relname)
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'org_id'
    WHERE c.relnamespace = 'orgusers'::regnamespace AND c.relkind = 'r' AND c.relname NOT IN ('mail_outbox', 'audit_log') ORDER BY c.relname;
SELECT is((SELECT count(*)::int FROM orgusers.mail_outbox WHERE org_id = :'acme' AND sealed_token IS NOT NULL), 0, 'A2: no mail goes out with a token of it');
SELECT is((SELECT count(*)::int FROM orgusers.memberships WHERE org_id = :'acme'), 0, 'A12: it is nobody''s current organization');
SELECT is(active('Beta'), 'ann', 'A14: other organizations keep their users');
SET LOCAL ROLE regress_ou_app;
SELECT throws_ok(format('SELECT orgusers.rename_organization(%L, %L)', :'acme', 'Ghost'), 'OU101', NULL, 'A2: a deleted organization is none');
SELECT throws_ok($$SELECT orgusers.create_my_organization('Nil', 'no_such_policy')$$, 'OU105', NULL, 'A2: an organization needs a policy that exists');
SELECT throws_ok(format($$SELECT orgusers.create_organization('Twice', 'plans_and_groups', %L)$$, org('Beta')), '42501', NULL, 'A2: only the trusted server gives an organization its id');
SELECT throws_ok($$SELECT orgusers.create_my_organization('Nil', 'plans_and_groups', time_zone => 'Mars/Olympus')$$, '22023', NULL, 'A2: a time zone that does not exist is refused');
SELECT act(NULL);
SELECT throws_ok($$SELECT orgusers.create_my_organization('Nil', 'plans_and_groups')$$, 'OU001', NULL, 'A2: nobody founds anonymously');

SELECT * FROM finish();
ROLLBACK;
