-- Ways around what the rule-books say that were tried, and are closed.
BEGIN;
\ir setup.psql
SELECT no_plan();

-- A tree under a policy where nobody changes their own roles, but an address is used anywhere: ann reaches into sub-accounts.
INSERT INTO orgusers.policies SELECT (jsonb_populate_record(p, '{"id": "tree", "own_role_change": false}')).* FROM orgusers.policies p WHERE id = 'plans_and_groups';
INSERT INTO orgusers.mail_templates SELECT (jsonb_populate_record(t, '{"policy": "tree"}')).* FROM orgusers.mail_templates t WHERE policy = 'plans_and_groups';
INSERT INTO orgusers.role_templates (policy, id, name, founder, by_default, reaches_below, editable, joinable) VALUES
    ('tree', 'chief', 'CHIEF', true,  false, true,  false, false),
    ('tree', 'clerk', 'CLERK', false, false, false, false, true),
    ('tree', 'staff', 'STAFF', false, true,  false, true,  true);
INSERT INTO orgusers.role_template_permissions SELECT 'tree', 'chief', unnest(ARRAY['organization.view', 'organization.rename', 'organization.delete',
    'subaccounts.manage', 'users.view', 'users.invite', 'users.remove', 'users.deactivate', 'roles.assign', 'roles.manage', 'permissions.assign', 'joining.manage']);
INSERT INTO orgusers.role_template_permissions VALUES ('tree', 'clerk', 'billing.manage');
INSERT INTO orgusers.role_template_grants VALUES ('tree', 'chief', 'clerk'), ('tree', 'chief', 'staff'), ('tree', 'chief', 'chief');
SELECT act('ann');
SELECT orgusers.create_organization('Root', 'tree') AS root \gset
SELECT orgusers.create_sub_account(:'root', 'Below') AS below \gset

-- Roles for oneself, in an organization that one reaches without being a user of it.
SET LOCAL ROLE regress_ou_app;
SELECT orgusers.invite_user(:'below', 'ann@example.org', '{CLERK}', send => false) AS own \gset
SELECT throws_ok(format('SELECT orgusers.accept_my_invitation(%L, %L)', :'below', :'own'), 'OU109', 'you may not accept an invitation from yourself',
    'D7: who reaches a sub-account takes no role there by an invitation of their own');
SELECT throws_ok(format('SELECT orgusers.accept_invitation(%L)', link_token(orgusers.invitation_link(:'below', :'own'))), 'OU109', NULL, 'D7: nor by its link');
SELECT link_token(link) AS link FROM orgusers.create_join_link(:'below', '{CLERK}') \gset
SELECT throws_ok(format('SELECT orgusers.join_organization(%L)', :'link'), 'OU109', 'you may not join by a link from yourself', 'D7: nor by a join link of their own');
SELECT orgusers.invite_user(:'root', 'dan@example.org', '{CHIEF}', send => false) AS chief \gset
SELECT act('dan');
SELECT lives_ok(format('SELECT orgusers.accept_my_invitation(%L, %L)', :'root', :'chief'), 'what somebody else has sent is accepted');
SELECT lives_ok(format('SELECT orgusers.resend_invitation(%L, %L)', :'below', :'own'), 'an invitation is sent again by somebody else');
SELECT act('ann');
SELECT lives_ok(format('SELECT orgusers.accept_my_invitation(%L, %L)', :'below', :'own'), 'D7: from whom it can be accepted');
SELECT is(roles_of('Below', 'ann'), 'CLERK', 'with the role');
SELECT act('dan');
SELECT orgusers.deactivate_user(:'below', person('ann'));
SELECT act('ann');
SELECT throws_ok(format('SELECT orgusers.reactivate_user(%L, %L)', :'below', person('ann')), 'OU109', NULL, 'D7: who is deactivated there does not come back by themselves');
SELECT act('dan');
SELECT lives_ok(format('SELECT orgusers.reactivate_user(%L, %L)', :'below', person('ann')), 'somebody else brings them back');

-- The same by a change of the own address.
SELECT act('ann');
SELECT orgusers.invite_user(:'root', 'ann.new@example.org', '{CLERK}', send => false) AS own \gset
RESET ROLE;
SELECT orgusers.change_email(person('ann'), 'ann.new@example.org', true);
SET LOCAL ROLE regress_ou_app;
SELECT throws_ok(format('SELECT orgusers.accept_my_invitation(%L, %L)', :'root', :'own'), 'OU109', NULL, 'D7: nor does a change of the address make an own invitation somebody else''s');
RESET ROLE;
SELECT orgusers.change_email((SELECT id FROM orgusers.users WHERE email = 'ann.new@example.org'), 'ann@example.org', true);

-- A role made like the default one is no default.
SET LOCAL ROLE regress_ou_app;
SELECT act('ann');
SELECT orgusers.create_role(:'root', 'BOSS', '{users.view,users.invite,roles.assign}', 'staff');
SELECT orgusers.invite_user(:'root', 'fay@example.org', send => false);
SELECT results_eq($$SELECT roles FROM orgusers.list_invitations(org('Root'), 'pending') WHERE email = 'fay@example.org'$$, $$VALUES ('{STAFF}'::text[])$$,
    'E1: an invitation that names no role gives none that an organization has made');
SELECT results_eq(format('SELECT roles FROM orgusers.join_preview(%L)', link_token(link)), $$VALUES ('{STAFF}'::text[])$$, 'F6: nor does a join link')
    FROM orgusers.create_join_link(:'root');
SELECT orgusers.edit_role(:'root', 'STAFF', 'TEAM', '{users.view}');
SELECT orgusers.invite_user(:'root', 'gus@example.org', send => false);
SELECT results_eq($$SELECT roles FROM orgusers.list_invitations(org('Root'), 'pending') WHERE email = 'gus@example.org'$$, $$VALUES ('{TEAM}'::text[])$$,
    'E1: the default one stays the default one when it is edited and renamed');
SELECT orgusers.delete_role(:'root', 'TEAM');
SELECT orgusers.create_role(:'root', 'STAFF', '{users.view}', 'staff');
SELECT orgusers.invite_user(:'root', 'eve@example.org', send => false);
SELECT results_eq($$SELECT roles FROM orgusers.list_invitations(org('Root'), 'pending') WHERE email = 'eve@example.org'$$, $$VALUES ('{}'::text[])$$,
    'E2: and a role of its name made later is not');
RESET ROLE;

-- A free role with everything in it.
SELECT throws_ok($$INSERT INTO orgusers.role_templates (policy, id, name, holds_seat, editable) VALUES ('tree', 'guest', 'GUEST', false, true)$$, '23514', NULL,
    'C1: a free role is nobody''s to fill with permissions');

-- Many years, less nearly as many days
SET LOCAL ROLE regress_ou_app;
SELECT throws_ok(format('SELECT orgusers.create_join_link(%L, NULL, 1, %L)', :'below', lifetime), 'OU009', NULL, 'F6: a join link does not live for ' || lifetime)
    FROM unnest(ARRAY['100000 years -35999900 days', '100 years -35900 days', '-100 years 36500 days', '366 days', '0', '-1 day']) lifetime;
SELECT lives_ok(format('SELECT orgusers.create_join_link(%L, NULL, 1, %L)', :'below', lifetime), 'F6: but for ' || lifetime)
    FROM unnest(ARRAY['1 minute', '1 month', '1 year', '360 days']) lifetime;
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
