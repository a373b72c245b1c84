-- Accounts with sub-accounts, under a policy where an address is used once in the tree.
BEGIN;
\ir setup.psql
SELECT no_plan();

INSERT INTO orgusers.policies SELECT (jsonb_populate_record(p, '{"id": "tree", "unique_in_tree": true, "declined_blocks": true, "own_role_change": false}')).* FROM orgusers.policies p;
INSERT INTO orgusers.policies SELECT (jsonb_populate_record(p, '{"id": "loose"}')).* FROM orgusers.policies p WHERE id = 'plans_and_groups';
INSERT INTO orgusers.mail_templates SELECT (jsonb_populate_record(t, jsonb_build_object('policy', p))).*
    FROM orgusers.mail_templates t, unnest(ARRAY['tree', 'loose']) p WHERE t.policy = 'plans_and_groups';
INSERT INTO orgusers.role_templates (policy, id, name, founder, by_default, least_holders, reaches_below)
    SELECT p, t.* FROM unnest(ARRAY['tree', 'loose']) p, (VALUES
        ('admin',   'ADMIN',   true,  false, 1, true),
        ('manager', 'MANAGER', false, false, 0, false),
        ('user',    'USER',    false, true,  0, false)) AS t;
INSERT INTO orgusers.role_template_permissions
    SELECT p, t, k FROM unnest(ARRAY['tree', 'loose']) p, unnest(ARRAY['admin', 'manager']) t, unnest(ARRAY['organization.view', 'organization.delete', 'users.view', 'users.invite', 'users.remove',
        'users.deactivate', 'roles.assign', 'subaccounts.manage', 'groups.manage']) k
    UNION ALL SELECT p, 'user', 'organization.view' FROM unnest(ARRAY['tree', 'loose']) p;
INSERT INTO orgusers.role_template_grants
    SELECT p, o, g FROM unnest(ARRAY['tree', 'loose']) p, unnest(ARRAY['admin', 'manager']) o, unnest(ARRAY['admin', 'manager', 'user']) g;

CREATE FUNCTION mail(who text) RETURNS orgusers.email LANGUAGE sql AS $$ SELECT (who || '@example.org')::orgusers.email $$;
-- The status of an invitation, as its organization's list has it.
CREATE FUNCTION invited(called text, who text) RETURNS text LANGUAGE sql SECURITY DEFINER AS
    $$ SELECT orgusers.status_now(i) FROM orgusers.invitations i WHERE i.org_id = org(called) AND i.id = inv(called, who) $$;

-- ann: ADMIN of Acme, bob: MANAGER there, cyd: USER there; eve: ADMIN of Other, without a tree
SELECT act('ann');
SELECT orgusers.create_organization('Acme', 'tree', time_zone => 'Europe/Vienna') AS acme \gset
SELECT enlist('Acme', 'bob', 'MANAGER'), enlist('Acme', 'cyd');
SELECT act('eve');
SELECT orgusers.create_organization('Other', 'tree') AS other \gset
UPDATE orgusers.plans SET seats = 100 WHERE id = 'free';
SET LOCAL ROLE regress_ou_app;

-- D1, D3: making sub-accounts
SELECT act('ann');
SELECT lives_ok($$SELECT orgusers.create_sub_account(org('Acme'), 'West', mail('dan'), 'W-1', first_name => 'Dan', last_name => 'Doe')$$, 'D3: a person is put in charge of a new sub-account');
SELECT is(invited('West', 'dan') || ',' || mails('dan'), 'pending,invitation', 'D3: by an invitation mail');
SELECT is((SELECT roles FROM orgusers.list_invitations(org('West'))), '{ADMIN}', 'D3: with the founder''s role');
SELECT lives_ok($$SELECT orgusers.create_sub_account(org('Acme'), 'East', time_zone => 'Asia/Tokyo')$$, 'D1: a sub-account can begin with nobody');
SELECT lives_ok($$SELECT orgusers.create_sub_account(org('West'), 'Far West', mail('x1'), roles => '{MANAGER}')$$, 'D1: a sub-account has sub-accounts');
SELECT results_eq($$SELECT name, depth, external_id, person::text, status FROM orgusers.list_sub_accounts(org('Acme'))$$,
    $$VALUES ('East', 1, NULL, NULL, NULL), ('West', 1, 'W-1', 'dan@example.org', 'pending'), ('Far West', 2, NULL, NULL, NULL)$$, 'D1: the tree is listed with who is in charge');
SELECT results_eq($$SELECT o.name, p.name, o.policy, o.time_zone FROM orgusers.organizations o JOIN orgusers.organizations p ON p.id = o.parent_id ORDER BY 1$$,
    $$VALUES ('East', 'Acme', 'tree', 'Asia/Tokyo'), ('Far West', 'West', 'tree', 'Europe/Vienna'), ('West', 'Acme', 'tree', 'Europe/Vienna')$$, 'D1: they are of the account''s policy, and of its time zone if none is given');
SELECT is((SELECT count(DISTINCT root_id)::int FROM orgusers.organizations), 1, 'D1: and of one tree');
RESET ROLE;
SELECT results_eq($$SELECT plan, paid, billing_admin_id FROM orgusers.subscriptions WHERE org_id = org('West')$$, $$VALUES ('free', false, NULL::uuid)$$, 'D1: on the default plan when it is free');
UPDATE orgusers.policies SET default_plan = 'paid' WHERE id = 'tree';
SET LOCAL ROLE regress_ou_app;
SELECT lives_ok($$SELECT orgusers.create_sub_account(org('Acme'), 'North')$$, 'D1: a paid default plan has no billing admin there');
SELECT as_owner($$UPDATE orgusers.policies SET default_plan = 'free' WHERE id = 'tree'$$);
SELECT is_empty($$SELECT FROM orgusers.subscriptions WHERE org_id = org('North')$$, 'D1: so the sub-account is on no plan');

SELECT throws_ok($$SELECT orgusers.create_sub_account(org('Acme'), ' ')$$, 'OU106', NULL, 'D1: a sub-account has a name');
SELECT throws_ok($$SELECT orgusers.create_sub_account(org('Acme'), 'South', external_id => '')$$, 'OU106', NULL, 'D1: an external id is a name, too');
SELECT throws_ok($$SELECT orgusers.create_sub_account(org('Acme'), 'South', time_zone => 'Nowhere')$$, '22023', NULL, 'D1: a time zone is one');
SELECT throws_ok($$SELECT orgusers.create_sub_account(org('Acme'), 'South', mail('x2'), roles => '{KING}')$$, 'OU103', NULL, 'D3: a role is one of the policy''s');
SELECT act('bob');
SELECT lives_ok($$SELECT orgusers.create_sub_account(org('Acme'), 'South')$$, 'D1: who has subaccounts.manage makes one');
SELECT throws_ok($$SELECT orgusers.create_sub_account(org('Acme'), 'South', mail('x2'))$$, 'OU002', 'permission users.invite is needed in the new sub-account', 'D3: to put somebody in charge the role must reach below');
SELECT throws_ok($$SELECT orgusers.create_sub_account(org('South'), 'Deep South')$$, 'OU101', NULL, 'D1: what one does not reach does not exist');
SELECT is_empty($$SELECT * FROM orgusers.list_sub_accounts(org('Acme'))$$, 'D1: nor is it listed');
SELECT act('cyd');
SELECT throws_ok($$SELECT orgusers.create_sub_account(org('Acme'), 'Mine')$$, 'OU002', NULL, 'D1: a USER makes no sub-account');
SELECT act('eve');
SELECT throws_ok($$SELECT orgusers.create_sub_account(org('Acme'), 'Mine')$$, 'OU101', NULL, 'D1: an outsider makes none');
SELECT throws_ok($$SELECT orgusers.list_sub_accounts(org('Acme'))$$, 'OU101', NULL, 'D1: and sees none');
SELECT act(NULL);
SELECT throws_ok($$SELECT orgusers.create_sub_account(org('Acme'), 'Mine')$$, 'OU001', NULL, 'D1: nobody makes none');
SELECT throws_ok($$SELECT orgusers.list_sub_accounts(org('Acme'))$$, 'OU001', NULL, 'D1: and sees none either');

-- D3: the person in charge
SELECT act('dan');
SELECT lives_ok($$SELECT orgusers.accept_my_invitation(org('West'), inv('West', 'dan'))$$, 'D3: the person accepts by the authority of the account''s ADMIN, who is not in the sub-account');
SELECT is(roles_of('West', 'dan'), 'ADMIN', 'D3: and is in charge');
SELECT lives_ok($$SELECT orgusers.list_users(org('Far West'))$$, 'D3: below, too');
SELECT throws_ok($$SELECT orgusers.list_users(org('Acme'))$$, 'OU101', NULL, 'D3: not above');
SELECT throws_ok($$SELECT orgusers.list_users(org('East'))$$, 'OU101', NULL, 'D3: nor beside');
SELECT act('ann');
SELECT is((SELECT person || ' ' || status FROM orgusers.list_sub_accounts(org('Acme')) WHERE name = 'West'), 'dan@example.org accepted', 'D1: the list says so');
SELECT throws_ok($$SELECT orgusers.hand_over(org('West'), person('dan'))$$, 'OU108', NULL, 'F8: who only reaches a sub-account has nothing to hand over there');
SELECT throws_ok($$SELECT orgusers.hand_over(org('Other'), person('eve'))$$, 'OU101', NULL, 'F8: and elsewhere learns nothing');
SELECT throws_ok($$SELECT orgusers.remove_user(org('West'), person('dan'))$$, 'OU303', NULL, 'D3: a sub-account that has somebody in charge keeps one');

-- D3: a declined address
SELECT lives_ok($$SELECT orgusers.create_sub_account(org('Acme'), 'Center', mail('fay'))$$, 'D3: fay is put in charge');
SELECT act('fay');
SELECT lives_ok($$SELECT orgusers.decline_my_invitation(org('Center'), inv('Center', 'fay'))$$, 'D3: and declines');
SELECT matches(mails('ann'), 'invitation_declined$', 'D3: of which the inviter has mail, who is not in the sub-account');
SELECT act('ann');
SELECT is((SELECT person || ' ' || status FROM orgusers.list_sub_accounts(org('Acme')) WHERE name = 'Center'), 'fay@example.org declined', 'D3: the list says so');
SELECT throws_ok($$SELECT orgusers.invite_user(org('Center'), mail('fay'))$$, 'OU208', NULL, 'D3: a declined address is not invited again');
SELECT throws_ok($$SELECT orgusers.invite_user(org('Acme'), mail('fay'))$$, 'OU208', NULL, 'D3: nor elsewhere in the tree');
SELECT throws_ok($$SELECT orgusers.create_sub_account(org('Acme'), 'Fay''s', mail('fay'))$$, 'OU208', NULL, 'D3: nor put in charge');
SELECT is(org('Fay''s'), NULL, 'D3: then no sub-account is made');
SELECT act('eve');
SELECT lives_ok($$SELECT orgusers.invite_user(org('Other'), mail('fay'))$$, 'D3: another tree is another matter');
SELECT lives_ok($$SELECT orgusers.cancel_invitation(org('Other'), inv('Other', 'fay'))$$, 'D3: (taken back)');
SELECT act('ann');
SELECT lives_ok($$SELECT orgusers.remove_invitation(org('Center'), inv('Center', 'fay'))$$, 'D3: removed first,');
SELECT lives_ok($$SELECT orgusers.create_sub_account(org('Acme'), 'Fay''s', mail('fay'))$$, 'D3: the address is put in charge of a new sub-account');
SELECT act('fay');
SELECT lives_ok($$SELECT orgusers.accept_my_invitation(org('Fay''s'), inv('Fay''s', 'fay'))$$, 'D3: and accepts');

-- D8: an address is used once in the tree
SELECT act('ann');
SELECT throws_ok(format($$SELECT orgusers.invite_user(org(%L), mail(%L))$$, called, who), 'OU307', NULL, format('D8: %s is not invited to %s', who, called))
    FROM (VALUES ('West', 'ann'), ('East', 'dan'), ('Acme', 'dan'), ('West', 'fay'), ('East', 'cyd'), ('Far West', 'dan'), ('East', 'x1'), ('Acme', 'x1'), ('West', 'x1')) AS v (called, who);
SELECT throws_ok($$SELECT orgusers.create_sub_account(org('Acme'), 'Twice', mail('ann'))$$, 'OU307', NULL, 'D8: nobody is in charge of a sub-account of their own account with the same address');
SELECT throws_ok($$SELECT orgusers.invite_user(org('West'), mail('dan'))$$, 'OU209', NULL, 'D8: in the same organization it is the plain refusal');
SELECT results_eq($$SELECT place, sqlstate FROM orgusers.invite_users(org('East'), '[{"email": "dan@example.org"}, {"email": "X1@example.org"}, {"email": "bulk@example.org"}]')$$,
    $$VALUES (1, 'OU307'), (2, 'OU307'), (3, NULL)$$, 'D8: of many addresses the used ones are refused');
SELECT lives_ok($$SELECT orgusers.invite_user(org('East'), mail('gus'))$$, 'D8: an unused address is invited');
SELECT throws_ok($$SELECT orgusers.invite_user(org('West'), mail('GUS'))$$, 'OU307', NULL, 'D8: without case, a pending one is used');
SELECT as_owner($$UPDATE orgusers.invitations SET expires_at = now() - interval '1 day' WHERE email = 'gus@example.org'$$);
SELECT lives_ok($$SELECT orgusers.invite_user(org('West'), mail('gus'))$$, 'D8: an expired one makes room');
SELECT throws_ok($$SELECT orgusers.resend_invitation(org('East'), inv('East', 'gus'))$$, 'OU307', NULL, 'D8: and is not sent again then');
SELECT lives_ok($$SELECT orgusers.resend_invitation(org('West'), inv('West', 'gus'))$$, 'D8: the other one is');
SELECT lives_ok($$SELECT orgusers.cancel_invitation(org('West'), inv('West', 'gus'))$$, 'D8: withdrawn,');
SELECT lives_ok($$SELECT orgusers.resend_invitation(org('East'), inv('East', 'gus'))$$, 'D8: it makes room, too');
SELECT act('gus');
SELECT lives_ok($$SELECT orgusers.accept_my_invitation(org('East'), inv('East', 'gus'))$$, 'D8: and is accepted');
SELECT act('ann');
SELECT lives_ok($$SELECT orgusers.deactivate_user(org('East'), person('gus'))$$, 'D8: gus is deactivated, though nobody has ever been in charge there');
SELECT throws_ok($$SELECT orgusers.invite_user(org('West'), mail('gus'))$$, 'OU307', NULL, 'D8: and stays used');
SELECT lives_ok($$SELECT orgusers.remove_user(org('East'), person('gus'))$$, 'D8: removed');
SELECT lives_ok($$SELECT orgusers.invite_user(org('West'), mail('gus'))$$, 'D8: is free for another sub-account');
SELECT act('eve');
SELECT lives_ok($$SELECT orgusers.invite_user(org('Other'), mail('gus'), '{USER}')$$, 'D8: in another tree it is anyway');
SELECT act('gus');
SELECT lives_ok($$SELECT orgusers.accept_my_invitation(org('Other'), inv('Other', 'gus'))$$, 'D8: and accepts there');
SELECT lives_ok($$SELECT orgusers.accept_my_invitation(org('West'), inv('West', 'gus'))$$, 'D8: as here');

-- D8: direct DML. gus is in West, x1 is invited to Far West.
RESET ROLE;
SELECT throws_ok(statement, 'OU307', NULL, 'D8: ' || statement) FROM unnest(ARRAY[
    $$INSERT INTO orgusers.memberships (org_id, user_id) VALUES (org('East'), person('gus'))$$,
    $$INSERT INTO orgusers.memberships (org_id, user_id, status, deactivated_at) VALUES (org('Acme'), person('gus'), 'deactivated', now())$$,
    $$INSERT INTO orgusers.memberships (org_id, user_id) SELECT o, person('una') FROM unnest(ARRAY[org('East'), org('Far West')]) o$$,
    $$INSERT INTO orgusers.memberships (org_id, user_id) VALUES (org('Acme'), person('una')) ON CONFLICT DO NOTHING; INSERT INTO orgusers.memberships (org_id, user_id) VALUES (org('East'), person('una')) ON CONFLICT DO NOTHING$$,
    $$DELETE FROM orgusers.membership_roles WHERE user_id = person('cyd'); UPDATE orgusers.memberships SET user_id = person('gus') WHERE org_id = org('Acme') AND user_id = person('cyd')$$,
    $$INSERT INTO orgusers.invitations (org_id, email, expires_at) VALUES (org('East'), 'gus@example.org', 'infinity')$$,
    $$INSERT INTO orgusers.invitations (org_id, email, expires_at) VALUES (org('East'), 'X1@example.org', 'infinity')$$,
    $$INSERT INTO orgusers.invitations (org_id, email, expires_at) SELECT o, 'x2@example.org', 'infinity' FROM unnest(ARRAY[org('East'), org('Acme')]) o$$,
    $$UPDATE orgusers.invitations SET email = 'gus@example.org' WHERE email = 'x1@example.org'$$,
    $$UPDATE orgusers.users SET email = 'x1@example.org' WHERE id = person('gus')$$,
    $$SELECT orgusers.change_email(person('gus'), 'x1@example.org')$$,
    $$MERGE INTO orgusers.invitations i USING (VALUES (org('East'), 'x1@example.org'::orgusers.email)) v (o, e) ON i.org_id = v.o AND i.email = v.e
        WHEN NOT MATCHED THEN INSERT (org_id, email, expires_at) VALUES (v.o, v.e, 'infinity')$$]) statement;
SELECT lives_ok($$INSERT INTO orgusers.invitations (org_id, email, expires_at) VALUES (org('East'), 'x1@example.org', now() - interval '1 day')$$, 'D8: an expired row uses nothing');
SELECT throws_ok($$UPDATE orgusers.invitations SET expires_at = 'infinity' WHERE org_id = org('East') AND email = 'x1@example.org'$$, 'OU307', NULL, 'D8: until it is given time');
INSERT INTO orgusers.invitations (org_id, email, expires_at, status, closed_at) VALUES (org('North'), 'x1@example.org', 'infinity', 'canceled', now());
SELECT throws_ok($$UPDATE orgusers.invitations SET status = 'pending', closed_at = NULL WHERE org_id = org('North') AND email = 'x1@example.org'$$, 'OU307', NULL, 'D8: or is opened again');
SELECT throws_ok($$SET CONSTRAINTS orgusers.address_in_tree DEFERRED; INSERT INTO orgusers.memberships (org_id, user_id) VALUES (org('East'), person('gus')); SET CONSTRAINTS ALL IMMEDIATE$$,
    'OU307', NULL, 'D8: put off, it is checked at commit');
SELECT lives_ok($$SET CONSTRAINTS orgusers.address_in_tree DEFERRED; INSERT INTO orgusers.memberships (org_id, user_id) VALUES (org('East'), person('gus'));
    DELETE FROM orgusers.memberships WHERE org_id = org('West') AND user_id = person('gus'); SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS orgusers.holders, orgusers.billing_admin DEFERRED$$,
    'D8: and what is right by then passes');
SELECT lives_ok($$UPDATE orgusers.memberships SET org_id = org('West') WHERE org_id = org('East') AND user_id = person('gus')$$, 'D8: a user moves within the tree');
SELECT lives_ok($$INSERT INTO orgusers.memberships (org_id, user_id) VALUES (org('Other'), person('dan'))$$, 'D8: into another tree');
SELECT lives_ok($$UPDATE orgusers.users SET email = 'GUS@example.org' WHERE id = person('gus')$$, 'D8: the same address in other letters is no other');

-- Without the switch, addresses are used as often as wanted.
SELECT act('eve');
SELECT orgusers.create_organization('Loose', 'loose') AS loose \gset
SELECT lives_ok($$SELECT orgusers.create_sub_account(org('Loose'), 'Loose end', mail('eve'))$$, 'D8: where the policy does not ask for it, an address is used twice');
SELECT lives_ok($$SELECT orgusers.accept_my_invitation(org('Loose end'), inv('Loose end', 'eve'))$$, 'D8: and accepted twice');

-- D3: another role than the founder's can be the one for who is in charge.
UPDATE orgusers.role_templates SET in_charge = true WHERE policy = 'loose' AND id = 'manager';
SELECT lives_ok($$SELECT orgusers.create_sub_account(org('Loose'), 'Loose leaf', mail('fay'))$$, 'D3: a policy names the role for who is in charge');
SELECT is((SELECT roles FROM orgusers.list_invitations(org('Loose leaf'))), '{MANAGER}', 'D3: and the person is invited to it');
SELECT act('fay');
SELECT orgusers.accept_my_invitation(org('Loose leaf'), inv('Loose leaf', 'fay')) \g /dev/null
SELECT enlist('Loose leaf', 'una');
SELECT act('eve');
SELECT results_eq($$SELECT name, person::text, status FROM orgusers.list_sub_accounts(org('Loose')) WHERE person IS NOT NULL$$, $$VALUES ('Loose leaf', 'fay@example.org', 'accepted')$$, 'D3: the list shows who is');
SELECT act('fay');
SELECT lives_ok($$SELECT orgusers.hand_over(org('Loose leaf'), person('una'))$$, 'F8: who is in charge of a sub-account hands it over');
SELECT is(roles_of('Loose leaf', 'una'), 'MANAGER USER', 'F8: to another user of it');
SELECT act('eve');
SELECT enlist('Loose', 'fay', 'MANAGER'), enlist('Loose', 'una');
SELECT act('fay');
SELECT throws_ok($$SELECT orgusers.hand_over(org('Loose'), person('una'))$$, 'OU108', NULL, 'F8: in an account that role is one of many');

-- A tree stays as it is.
SELECT throws_ok(statement, 'OU115', NULL, 'D1: ' || statement) FROM unnest(ARRAY[
    $$UPDATE orgusers.organizations SET parent_id = org('East') WHERE name = 'Far West'$$,
    $$UPDATE orgusers.organizations SET parent_id = org('Other'), root_id = org('Other') WHERE name = 'North'$$,
    $$UPDATE orgusers.organizations SET parent_id = NULL, root_id = id WHERE name = 'North'$$,
    $$UPDATE orgusers.organizations SET parent_id = org('Acme'), root_id = org('Acme') WHERE name = 'Other'$$]) statement;
INSERT INTO orgusers.organizations (id, name, policy) VALUES ('00000000-0000-0000-0000-0000000000f1', 'Bare', 'loose');
INSERT INTO orgusers.organizations (parent_id, name, policy) VALUES ('00000000-0000-0000-0000-0000000000f1', 'Barer', 'loose');
SELECT throws_ok($$UPDATE orgusers.organizations SET policy = 'tree' WHERE name IN ('Bare', 'Barer')$$, 'OU115', NULL, 'D1: a tree stays under its policy');
SELECT throws_ok($$UPDATE orgusers.organizations SET policy = 'tree' WHERE name = 'Bare'$$, '23503', NULL, 'D1: whole');
SELECT throws_ok($$INSERT INTO orgusers.organizations (parent_id, root_id, name, policy) VALUES (org('West'), org('West'), 'Odd', 'tree')$$, '23503', NULL, 'D1: the root is the parent''s');
SELECT throws_ok($$INSERT INTO orgusers.organizations (parent_id, name, policy) VALUES (org('West'), 'Odd', 'loose')$$, '23503', NULL, 'D1: so is the policy');

-- Without foreign keys there can be a circle; the list ends all the same.
SAVEPOINT circle;
SET LOCAL session_replication_role = replica;
UPDATE orgusers.organizations SET parent_id = org('Far West') WHERE id = org('West');
SET LOCAL session_replication_role = origin;
SET LOCAL statement_timeout = '20s';
SELECT act('dan');
SELECT is((SELECT string_agg(name, ' ') FROM orgusers.list_sub_accounts(org('West'))), 'Far West', 'D1: a circle is listed to where it began');
ROLLBACK TO circle;

-- Deleting, from below
SET LOCAL ROLE regress_ou_app;
SELECT act('ann');
SELECT throws_ok($$SELECT orgusers.delete_organization(org('West'))$$, 'OU114', NULL, 'D1: an organization with sub-accounts is not deleted');
SELECT throws_ok($$SELECT orgusers.delete_organization(org('Acme'))$$, 'OU114', NULL, 'D1: nor is the account');
SELECT act('dan');
SELECT lives_ok($$SELECT orgusers.delete_organization(org('Far West'))$$, 'D1: from below it is');
SELECT lives_ok($$SELECT orgusers.delete_organization(org('West'))$$, 'D1: and then the one above');
SELECT act('ann');
SELECT lives_ok($$SELECT orgusers.invite_user(org('East'), mail('dan'))$$, 'D8: whose addresses are free again');

SELECT * FROM finish();
ROLLBACK;
