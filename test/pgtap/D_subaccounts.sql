-- The policy subaccounts: a tree of accounts, roles beside single permissions, one address a tree.
BEGIN;
\ir setup.psql
SELECT orgusers.install_subaccounts('Teams', 'https://teams.example/invitation#{{token}}', 'no-reply@teams.example');
SELECT no_plan();
SET LOCAL ROLE regress_ou_app;

SELECT act('ann');
SELECT orgusers.create_my_organization('Holding', 'subaccounts') AS holding \gset
SELECT is(roles_of('Holding', 'ann'), 'Account Admin', 'D1: who makes an account is its Account Admin');

-- The overview, as the page shows it: accepted ones have no banner.
CREATE FUNCTION pg_temp.overview(called text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(split_part(email::text, '@', 1) || ': ' || array_to_string(roles, '+') || CASE status WHEN 'active' THEN '' ELSE ' ' || status END, ', ' ORDER BY email)
    FROM orgusers.list_users(org(called), statuses => '{active,deactivated,pending,declined}') $$;

-- D1: inviting to the account and to a sub-account
SELECT lives_ok($$SELECT orgusers.invite_user(org('Holding'), 'cyd@example.org', '{Member}')$$, 'D1: a person is invited to the account');
SELECT lives_ok($$SELECT orgusers.create_sub_account(org('Holding'), 'North', 'bob@example.org')$$, 'D1: a sub-account is made, with a person in charge');
SELECT lives_ok($$SELECT orgusers.create_sub_account(org('Holding'), 'South')$$, 'D1: and one without');
SELECT is(pg_temp.overview('North'), 'bob: Team Admin pending', 'D3: who is put in charge is invited as the Team Admin');
SELECT results_eq($$SELECT name, person::text, status FROM orgusers.list_sub_accounts(org('Holding'))$$, $$VALUES ('North', 'bob@example.org', 'pending'), ('South', NULL, NULL)$$, 'D1: the structure shows who is in charge');
SELECT is(mails('bob'), 'invitation', 'D1: the person gets mail');
SELECT lives_ok($$SELECT orgusers.invite_user(org('South'), 'dan@example.org', '{Team Admin}')$$, 'D1: an Account Admin invites to a sub-account');
SELECT is(pg_temp.overview('Holding'), 'ann: Account Admin, cyd: Member pending', 'D1: the overview shows role and status');

-- D2: pending gives nothing
CREATE FUNCTION pg_temp.nothing(who text, called text, why text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM act(who);
    RETURN NEXT ok(NOT orgusers.is_member(org(called)), why || ' is no user');
    RETURN NEXT is(orgusers.orgs_reached('organization.view') || orgusers.orgs_with('spaces.view') || orgusers.orgs_with('users.view'), '{}', why || ' has no permission anywhere');
    RETURN NEXT is_empty('SELECT FROM orgusers.organizations', why || ' sees no organization');
    RETURN NEXT throws_ok(format('SELECT * FROM orgusers.list_users(org(%L))', called), 'OU101', NULL, why || ' is refused the users');
    RETURN NEXT throws_ok(format('SELECT orgusers.invite_user(org(%L), ''x@example.org'')', called), 'OU101', NULL, why || ' is refused to invite');
    RETURN NEXT throws_ok(format('SELECT orgusers.switch_organization(org(%L))', called), 'OU101', NULL, why || ' is refused to go there');
END $$;
SELECT pg_temp.nothing('cyd', 'Holding', 'D2: who is pending');
SELECT pg_temp.nothing('bob', 'North', 'D2: who is pending in a sub-account');

-- D4: canceling
SELECT act('ann');
CREATE TEMP TABLE kept AS SELECT mail_token('Holding', 'cyd') AS token, inv('Holding', 'cyd') AS id;
SELECT lives_ok($$SELECT orgusers.cancel_invitation(org('Holding'), inv('Holding', 'cyd'))$$, 'D4: a pending invitation is canceled');
SELECT is(pg_temp.overview('Holding'), 'ann: Account Admin', 'D4: and off the overview');
SELECT throws_ok($$SELECT orgusers.cancel_invitation(org('Holding'), id) FROM kept$$, 'OU205', NULL, 'D4: once');
SELECT throws_ok($$SELECT orgusers.resend_invitation(org('Holding'), id) FROM kept$$, 'OU205', NULL, 'D4: it is not sent again');
SELECT throws_ok($$SELECT orgusers.invitation_link(org('Holding'), id) FROM kept$$, 'OU205', NULL, 'D4: nor is there a link of it');
SELECT act('cyd');
SELECT throws_ok($$SELECT orgusers.accept_invitation(token::orgusers.invitation_token) FROM kept$$, 'OU205', NULL, 'D4: who follows its link later gets nothing');
SELECT throws_ok($$SELECT orgusers.accept_my_invitation(org('Holding'), id) FROM kept$$, 'OU205', NULL, 'D4: nor by its id');
SELECT is_empty('SELECT * FROM orgusers.my_invitations()', 'D4: nor is it shown');
SELECT pg_temp.nothing('cyd', 'Holding', 'D4: who was canceled');
SELECT act('ann');
SELECT lives_ok($$SELECT orgusers.invite_user(org('Holding'), 'cyd@example.org', '{Member}')$$, 'D4: a canceled address is invited anew');
SELECT act('cyd');
SELECT throws_ok($$SELECT orgusers.accept_invitation(token::orgusers.invitation_token) FROM kept$$, 'OU205', NULL, 'D4: which does not revive the old link');

-- Accepting
SELECT lives_ok($$SELECT orgusers.accept_my_invitation(org_id, id) FROM orgusers.my_invitations()$$, 'D1: a person accepts');
SELECT act('bob');
SELECT lives_ok($$SELECT orgusers.accept_my_invitation(org_id, id) FROM orgusers.my_invitations()$$, 'D1: and the one in charge of the sub-account');
SELECT is(pg_temp.overview('North'), 'bob: Team Admin', 'D1: an accepted one has no banner');
SELECT throws_ok($$SELECT orgusers.cancel_invitation(org('North'), inv('North', 'bob'))$$, 'OU205', NULL, 'D4: an accepted one is not canceled');
SELECT act('ann');
SELECT is(pg_temp.overview('Holding'), 'ann: Account Admin, cyd: Member', 'D1: in the account likewise');

-- D3: declined
SELECT act('dan');
SELECT lives_ok($$SELECT orgusers.decline_my_invitation(org_id, id) FROM orgusers.my_invitations()$$, 'D2: a person declines');
SELECT pg_temp.nothing('dan', 'South', 'D2: who has declined');
SELECT act('ann');
SELECT is(pg_temp.overview('South'), 'dan: Team Admin declined', 'D1: the overview says so');
SELECT matches(mails('ann'), 'invitation_declined$', 'D2: and the inviter gets mail');
SELECT throws_ok($$SELECT orgusers.cancel_invitation(org('South'), inv('South', 'dan'))$$, 'OU205', NULL, 'D4: a declined one is not canceled');
SELECT throws_ok($$SELECT orgusers.resend_invitation(org('South'), inv('South', 'dan'))$$, 'OU205', NULL, 'D3: nor sent again');
SELECT throws_ok($$SELECT orgusers.invite_user(org('South'), 'dan@example.org', '{Member}')$$, 'OU208', NULL, 'D3: the address is not invited again');
SELECT throws_ok($$SELECT orgusers.invite_user(org('Holding'), 'dan@example.org', '{Member}')$$, 'OU208', NULL, 'D3: nor anywhere in the tree');
SELECT throws_ok($$SELECT orgusers.create_sub_account(org('Holding'), 'West', 'dan@example.org')$$, 'OU208', NULL, 'D3: nor put in charge of a new sub-account');
SELECT is(org('West'), NULL, 'D3: which is not made then');
SELECT lives_ok($$SELECT orgusers.remove_invitation(org('South'), inv('South', 'dan'))$$, 'D5: a declined one is removed');
SELECT is(pg_temp.overview('South'), NULL, 'D3: and off the overview');
SELECT lives_ok($$SELECT orgusers.invite_user(org('South'), 'dan@example.org', '{Member}')$$, 'D3: then the address is invited again');
SELECT act('dan');
SELECT lives_ok($$SELECT orgusers.decline_my_invitation(org_id, id) FROM orgusers.my_invitations()$$, 'D3: declines again');
SELECT act('ann');
SELECT lives_ok($$SELECT orgusers.remove_invitation(org('South'), inv('South', 'dan'))$$, 'D3: is removed again');
SELECT lives_ok($$SELECT orgusers.create_sub_account(org('Holding'), 'West', 'dan@example.org')$$, 'D3: or put in charge of a new sub-account');
SELECT is(pg_temp.overview('West'), 'dan: Team Admin pending', 'D3: as its Team Admin');

-- D5: removing
SELECT throws_ok($$SELECT orgusers.remove_invitation(org('West'), inv('West', 'dan'))$$, 'OU205', NULL, 'D5: a pending one is not removed');
SELECT throws_ok($$SELECT orgusers.remove_user(org('West'), person('dan'))$$, 'OU102', NULL, 'D5: nor as a user');
SELECT act('dan');
SELECT lives_ok($$SELECT orgusers.accept_my_invitation(org_id, id) FROM orgusers.my_invitations()$$, 'D5: accepted');
SELECT ok(orgusers.can(org('West'), 'users.invite'), 'D5: the Team Admin has access');
SELECT is_empty($$SELECT FROM orgusers.organizations WHERE id <> org('West')$$, 'D1: to the own sub-account only');
SELECT throws_ok(format('SELECT * FROM orgusers.list_users(org(%L))', o), 'OU101', NULL, 'D1: the users of ' || o || ' are not shown to a Team Admin of another') FROM unnest(ARRAY['Holding', 'North', 'South']) o;
SELECT throws_ok($$SELECT orgusers.create_sub_account(org('West'), 'Below')$$, 'OU002', NULL, 'D1: nor does a Team Admin make sub-accounts');
SELECT throws_ok($$SELECT orgusers.delete_organization(org('West'))$$, 'OU002', NULL, 'D1: or delete one');
SELECT act('ann');
SELECT lives_ok($$SELECT orgusers.remove_user(org('West'), person('dan'))$$, 'D5: one who has accepted is removed, by who is above');
SELECT pg_temp.nothing('dan', 'West', 'D5: who was removed');
SELECT is(mails('dan'), 'invitation invitation invitation user_removed', 'D5: and gets mail');

-- D6: roles and single permissions
SELECT act('bob');
SELECT lives_ok($$SELECT orgusers.invite_user(org('North'), 'eve@example.org')$$, 'D6: a Team Admin invites') ;
SELECT act('eve');
SELECT lives_ok($$SELECT orgusers.accept_my_invitation(org_id, id) FROM orgusers.my_invitations()$$, 'D6: a Member accepts');
CREATE FUNCTION pg_temp.rights_of(who text, called text) RETURNS text LANGUAGE sql AS $$
    SELECT act(who);
    SELECT roles_of(called, who) || ' | ' || coalesce((SELECT string_agg(permission, ' ' ORDER BY permission) FROM orgusers.membership_permissions WHERE user_id = person(who)), '')
        || ' | ' || concat_ws(' ', CASE WHEN orgusers.can(org(called), 'users.view') THEN 'lists' END, CASE WHEN orgusers.can(org(called), 'users.invite') THEN 'invites' END,
                              CASE WHEN orgusers.can(org(called), 'billing.manage') THEN 'bills' END) $$;
SELECT is(pg_temp.rights_of('eve', 'North'), 'Member |  | ', 'D6: a Member to begin with');
-- Each box on and off by itself, from every state: a statement for each step, and one that looks.
SELECT unnest(ARRAY['SELECT act(''bob'')', format('SELECT orgusers.set_user_roles(org(''North''), person(''eve''), %L)', roles),
                    format('SELECT orgusers.set_user_permissions(org(''North''), person(''eve''), %L)', permissions),
                    format('SELECT is(pg_temp.rights_of(''eve'', ''North''), %L, %L)', wanted, 'D6: ' || what)]) FROM (VALUES
    (1, '{Member,Accountant}', '{}', 'Accountant Member |  | bills', 'a second role is switched on'),
    (2, '{Member,Accountant}', '{users.view}', 'Accountant Member | users.view | lists bills', 'a permission beside two roles'),
    (3, '{Member,Accountant,Team Admin}', '{users.view}', 'Accountant Member Team Admin | users.view | lists invites bills', 'a third role'),
    (4, '{Accountant}', '{users.view}', 'Accountant | users.view | lists bills', 'two roles are switched off'),
    (5, '{Accountant}', '{users.view,users.invite}', 'Accountant | users.invite users.view | lists invites bills', 'a second permission'),
    (6, '{Accountant}', '{users.invite}', 'Accountant | users.invite | invites bills', 'the first is switched off'),
    (7, '{}', '{users.invite}', ' | users.invite | invites', 'no role is left'),
    (8, '{}', '{}', ' |  | ', 'and nothing at all'),
    (9, '{Member}', '{}', 'Member |  | ', 'a role again')) AS v (step, roles, permissions, wanted, what)
    ORDER BY step \gexec
SELECT act('bob');
SELECT throws_ok($$SELECT orgusers.set_user_permissions(org('North'), person('eve'), '{organization.delete}')$$, 'OU108', NULL, 'D6: nobody gives a permission that they have not');
SELECT throws_ok($$SELECT orgusers.set_user_roles(org('North'), person('eve'), '{Account Admin}')$$, 'OU108', NULL, 'D6: nor does a Team Admin make an Account Admin');
SELECT act('eve');
SELECT throws_ok($$SELECT orgusers.set_user_permissions(org('North'), person('bob'), '{}')$$, 'OU002', NULL, 'D6: a Member gives and takes nothing');
SELECT throws_ok($$SELECT orgusers.set_user_roles(org('North'), person('bob'), '{Member}')$$, 'OU002', NULL, 'D6: nor roles');

-- D7: not one's own
CREATE FUNCTION pg_temp.hint_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    hint text;
BEGIN
    EXECUTE statement;
    RETURN 'done';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
    RETURN SQLSTATE || ' ' || hint;
END $$;
SELECT act('bob');
SELECT is(pg_temp.hint_of(format('SELECT orgusers.%s', call)), 'OU109 Ask Ann, who has invited you.', 'D7: refused, and the error names the inviter: ' || call) FROM unnest(ARRAY[
    $$set_user_roles(org('North'), person('bob'), '{Team Admin,Accountant}')$$, $$set_user_roles(org('North'), person('bob'), '{}')$$,
    $$set_user_permissions(org('North'), person('bob'), '{billing.manage}')$$, $$remove_user(org('North'), person('bob'))$$, $$deactivate_user(org('North'), person('bob'))$$]) call;
SELECT act('ann');
SELECT is(pg_temp.hint_of($$SELECT orgusers.set_user_roles(org('Holding'), person('ann'), '{Account Admin,Member}')$$), 'OU109 Ask another user of the organization who may.', 'D7: whom nobody has invited is told so');
SELECT throws_ok($$SELECT orgusers.remove_user(org('Holding'), person('ann'))$$, 'OU109', NULL, 'D7: and the last Account Admin stays');
SELECT lives_ok($$SELECT orgusers.set_user_roles(org('North'), person('bob'), '{Team Admin,Accountant}')$$, 'D7: the inviter changes them');
SELECT is(roles_of('North', 'bob'), 'Accountant Team Admin', 'D7: who is asked');
SELECT throws_ok($$SELECT * FROM orgusers.leave_organization(org('Holding'), 'x')$$, 'OU109', NULL, 'D7: nor does anybody leave by themselves');

-- D8: one address a tree
SELECT throws_ok(format('SELECT orgusers.invite_user(org(%L), %L)', o, who || '@EXAMPLE.org'), state, NULL, format('D8: %s is not invited to %s', who, o)) FROM (VALUES
    ('Holding', 'bob', 'OU307'), ('South', 'bob', 'OU307'), ('North', 'ann', 'OU307'), ('North', 'cyd', 'OU307'), ('South', 'eve', 'OU307'),
    ('Holding', 'cyd', 'OU209'), ('North', 'bob', 'OU209')) AS v (o, who, state);
SELECT throws_ok($$SELECT orgusers.create_sub_account(org('Holding'), 'East', 'ann@example.org')$$, 'OU307', NULL, 'D8: nobody is the Account Admin and the Team Admin of a sub-account by one address');
SELECT lives_ok($$SELECT orgusers.invite_user(org('South'), 'fay@example.org')$$, 'D8: an address that is free');
SELECT throws_ok($$SELECT orgusers.invite_user(org('North'), 'fay@example.org')$$, 'OU307', NULL, 'D8: is used by a pending invitation');
RESET ROLE;
SELECT throws_ok(format($$SELECT and_commit('INSERT INTO orgusers.memberships (org_id, user_id) VALUES (''%s'', ''%s'')')$$, org(o), person(who)), 'OU307', NULL, format('D8: nor does the owner put %s in %s', who, o))
    FROM (VALUES ('South', 'bob'), ('Holding', 'eve'), ('North', 'ann')) AS v (o, who);
SET LOCAL ROLE regress_ou_app;
SELECT act('gus');
SELECT lives_ok($$SELECT orgusers.create_my_organization('Elsewhere', 'subaccounts')$$, 'D8: in another tree');
SELECT lives_ok($$SELECT orgusers.invite_user(org('Elsewhere'), 'bob@example.org', '{Team Admin}')$$, 'D8: the address can be used');
SELECT throws_ok($$SELECT orgusers.create_sub_account(org('Holding'), 'Mine')$$, 'OU101', NULL, 'D1: an Account Admin elsewhere is nobody here');
SELECT act('ann');
SELECT lives_ok($$SELECT orgusers.remove_user(org('North'), person('eve'))$$, 'D8: who is removed');
SELECT lives_ok($$SELECT orgusers.invite_user(org('South'), 'eve@example.org')$$, 'D8: can be invited to another account of the tree');
SELECT throws_ok($$SELECT orgusers.delete_organization(org('Holding'))$$, 'OU114', NULL, 'D1: an account with sub-accounts is not deleted');
SELECT lives_ok($$SELECT orgusers.delete_organization(org('South'))$$, 'D1: a sub-account is');

SELECT * FROM finish();
ROLLBACK;
