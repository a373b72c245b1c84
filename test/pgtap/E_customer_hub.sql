-- The policy customer_hub: roles of the customer's own making, short invitations, leaving.
BEGIN;
\ir setup.psql
SELECT orgusers.install_customer_hub('Hub', 'https://hub.example/invitation#{{token}}', 'no-reply@hub.example');
SELECT orgusers.register_permission('home.view', 'See the start page'), orgusers.register_permission('orders.view', 'See orders'), orgusers.register_permission('invoices.view', 'See invoices');
INSERT INTO orgusers.base_permissions VALUES ('customer_hub', 'home.view');
INSERT INTO orgusers.role_template_permissions VALUES ('customer_hub', 'admin', 'orders.view'), ('customer_hub', 'admin', 'invoices.view');
SELECT no_plan();

-- The last mail to somebody, as it reads; the link is the mailer's.
CREATE FUNCTION mail_text(who text) RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    written text;
    pair    record;
BEGIN
    SELECT t.subject || E'\n' || t.body_text INTO STRICT written FROM orgusers.mail_outbox m JOIN orgusers.mail_templates t ON t.policy = m.policy AND t.kind = m.kind AND t.locale = 'en'
        WHERE m.recipient = (who || '@example.org')::orgusers.email ORDER BY m.created_at DESC, m.id DESC LIMIT 1;
    FOR pair IN SELECT key, value FROM orgusers.mail_outbox m, jsonb_each_text(m.variables)
                WHERE m.id = (SELECT x.id FROM orgusers.mail_outbox x WHERE x.recipient = (who || '@example.org')::orgusers.email ORDER BY x.created_at DESC, x.id DESC LIMIT 1) LOOP
        written := replace(written, '{{' || pair.key || '}}', pair.value);
    END LOOP;
    RETURN written;
END $$;

-- Made by the company: the organization is a customer with a number.
SELECT act('ann');
SELECT orgusers.create_organization('Smith Ltd', 'customer_hub', time_zone => 'Pacific/Auckland') AS smith \gset
SELECT orgusers.set_external_id(:'smith', 'C-4711');
SELECT enlist('Smith Ltd', 'bob', 'Admin');
SET LOCAL ROLE regress_ou_app;

-- E1: address and roles
SELECT act('ann');
SELECT throws_ok($$SELECT orgusers.invite_user(org('Smith Ltd'), NULL)$$, 'OU201', NULL, 'E1: without an address there is no invitation');
SELECT throws_ok($$SELECT orgusers.invite_user(org('Smith Ltd'), 'cyd')$$, 'OU201', NULL, 'E1: nor with a text that is none');
SELECT throws_ok($$SELECT orgusers.invite_user(org('Smith Ltd'), 'cyd@example.org', '{Buyer}')$$, 'OU103', NULL, 'E1: roles must be there beforehand');
SELECT lives_ok($$SELECT orgusers.create_role(org('Smith Ltd'), 'Buyer', '{orders.view}')$$, 'E1: an Admin makes a role');
SELECT lives_ok($$SELECT orgusers.create_role(org('Smith Ltd'), 'Payer', '{invoices.view}')$$, 'E1: and another');
SELECT throws_ok($$SELECT orgusers.create_role(org('Smith Ltd'), 'Boss', '{organization.delete}')$$, 'OU108', NULL, 'E1: of what an Admin has');
SELECT lives_ok($$SELECT orgusers.invite_user(org('Smith Ltd'), 'cyd@example.org', '{Buyer}')$$, 'E1: one role goes with an invitation');
SELECT lives_ok($$SELECT orgusers.invite_user(org('Smith Ltd'), 'dan@example.org', '{Buyer,Payer}')$$, 'E1: or several');
SELECT lives_ok($$SELECT orgusers.invite_user(org('Smith Ltd'), 'eve@example.org')$$, 'E1: or none');
SELECT results_eq($$SELECT email::text, roles FROM orgusers.list_invitations(org('Smith Ltd')) ORDER BY 1$$,
    $$VALUES ('cyd@example.org', '{Buyer}'::text[]), ('dan@example.org', '{Buyer,Payer}'), ('eve@example.org', '{}')$$, 'E1: as the list shows');

-- E6: the mail
SELECT ok(strpos(mail_text('dan'), part) > 0, format('E6: the mail says %L', part)) FROM unnest(ARRAY['Smith Ltd', 'C-4711', 'Ann', 'ann@example.org', 'Hub', 'Buyer, Payer', '{{link}}']) part;

-- E4: one day
SELECT is((SELECT bool_and(expires_at - created_at > interval '23 hours 59 minutes' AND expires_at < clock_timestamp() + interval '1 day') FROM orgusers.list_invitations(org('Smith Ltd'))), true, 'E4: a link is valid for one day');
CREATE TEMP TABLE kept AS SELECT mail_token('Smith Ltd', 'cyd') AS token;
GRANT ALL ON kept TO regress_ou_server;
SELECT as_owner($$UPDATE orgusers.invitations SET expires_at = clock_timestamp() WHERE email = 'cyd@example.org'$$);
SELECT act('cyd');
SELECT throws_ok($$SELECT orgusers.accept_invitation(token::orgusers.invitation_token) FROM kept$$, 'OU204', NULL, 'E4: and no longer');

-- E5: the list
SELECT act('ann');
SELECT results_eq($$SELECT email::text, status FROM orgusers.list_invitations(org('Smith Ltd')) ORDER BY 1$$,
    $$VALUES ('cyd@example.org', 'expired'), ('dan@example.org', 'pending'), ('eve@example.org', 'pending')$$, 'E5: all sent invitations are listed with their status');
SELECT lives_ok($$SELECT orgusers.resend_invitation(org('Smith Ltd'), inv('Smith Ltd', 'dan'))$$, 'E5: a pending one is sent again');
SELECT lives_ok($$SELECT orgusers.resend_invitation(org('Smith Ltd'), inv('Smith Ltd', 'cyd'))$$, 'E5: and an expired one');
SELECT is((SELECT status FROM orgusers.list_invitations(org('Smith Ltd')) WHERE email = 'cyd@example.org'), 'pending', 'E5: which is pending again');
SELECT is((SELECT count(*)::int FROM orgusers.list_invitations(org('Smith Ltd'))), 3, 'E5: the same one');
SELECT lives_ok($$SELECT orgusers.invite_user(org('Smith Ltd'), 'x@example.org')$$, 'E5: one too many');
SELECT lives_ok($$SELECT orgusers.cancel_invitation(org('Smith Ltd'), inv('Smith Ltd', 'x'))$$, 'E5: is deleted: it is withdrawn');
SELECT lives_ok($$SELECT orgusers.remove_invitation(org('Smith Ltd'), inv('Smith Ltd', 'x'))$$, 'E5: and taken off the list');
SELECT throws_ok($$SELECT orgusers.remove_invitation(org('Smith Ltd'), inv('Smith Ltd', 'dan'))$$, 'OU205', NULL, 'E5: not without being withdrawn');

-- E2: editing and deleting a role
SELECT results_eq($$SELECT users, users_left_without_role, open_invitations, open_invitations_left_without_role FROM orgusers.role_usage(org('Smith Ltd'), 'Buyer')$$,
    $$VALUES (0::bigint, 0::bigint, 2::bigint, 1::bigint)$$, 'E2: what a role is used for can be read before');
SELECT act('cyd');
SELECT lives_ok($$SELECT orgusers.accept_my_invitation(org_id, id) FROM orgusers.my_invitations()$$, 'E7: who has an account accepts with it');
SELECT ok(orgusers.can(org('Smith Ltd'), 'orders.view'), 'E1: and has what the role permits');
SELECT ok(NOT orgusers.can(org('Smith Ltd'), 'invoices.view'), 'E1: and nothing else');
SELECT throws_ok(format('SELECT * FROM orgusers.%s', call), 'OU002', NULL, 'E2: a user without user administration is refused ' || call) FROM unnest(ARRAY[
    $$role_usage(org('Smith Ltd'), 'Buyer')$$, $$edit_role(org('Smith Ltd'), 'Buyer', 'Mine')$$, $$delete_role(org('Smith Ltd'), 'Payer')$$, $$create_role(org('Smith Ltd'), 'Mine', '{}')$$]) call;
SELECT act('ann');
SELECT results_eq($$SELECT users, users_left_without_role, open_invitations, open_invitations_left_without_role FROM orgusers.role_usage(org('Smith Ltd'), 'Buyer')$$,
    $$VALUES (1::bigint, 1::bigint, 1::bigint, 0::bigint)$$, 'E2: with users and open invitations');
SELECT lives_ok($$SELECT orgusers.edit_role(org('Smith Ltd'), 'Buyer', 'Purchaser', '{orders.view,invoices.view}')$$, 'E2: a role is edited');
SELECT is((SELECT roles FROM orgusers.list_invitations(org('Smith Ltd')) WHERE email = 'dan@example.org'), '{Payer,Purchaser}', 'E2: in open invitations, too');
SELECT act('cyd');
SELECT ok(orgusers.can(org('Smith Ltd'), 'invoices.view'), 'E2: and for its holders, at once');
SELECT act('ann');
SELECT lives_ok($$SELECT orgusers.delete_role(org('Smith Ltd'), 'Purchaser')$$, 'E2: a role is deleted');
SELECT is((SELECT roles FROM orgusers.list_invitations(org('Smith Ltd')) WHERE email = 'dan@example.org'), '{Payer}', 'E2: off open invitations');
SELECT is(roles_of('Smith Ltd', 'cyd'), '', 'E2: and off its holders');
SELECT lives_ok($$SELECT orgusers.create_role(org('Smith Ltd'), 'Purchaser', '{orders.view}')$$, 'E2: a role of the same name');
SELECT act('dan');
SELECT lives_ok($$SELECT orgusers.accept_my_invitation(org_id, id) FROM orgusers.my_invitations()$$, 'E2: an invitation sent before it');
SELECT is(roles_of('Smith Ltd', 'dan'), 'Payer', 'E2: does not give it');
SELECT is(roles_of('Smith Ltd', 'cyd'), '', 'E2: nor has who held the other one');
SELECT act('ann');
SELECT throws_ok($$SELECT orgusers.delete_role(org('Smith Ltd'), 'Admin')$$, 'OU112', NULL, 'E2: the Admin''s own role is fixed');
SELECT throws_ok($$SELECT orgusers.role_usage(org('Smith Ltd'), 'Buyer')$$, 'OU103', NULL, 'E2: a role that does not exist has no use');

-- E3: 50 a day for each admin
SELECT is(orgusers.invitations_left(org('Smith Ltd')), 44, 'E3: invitations are counted, those sent again, too');
SELECT lives_ok($$SELECT orgusers.invite_user(org('Smith Ltd'), format('p%s@example.org', n)::orgusers.email, send => false) FROM generate_series(1, 44) n$$, 'E3: up to fifty');
SELECT is(orgusers.invitations_left(org('Smith Ltd')), 0, 'E3: none is left');
SELECT throws_ok($$SELECT orgusers.invite_user(org('Smith Ltd'), 'q@example.org')$$, 'OU212', NULL, 'E3: the next one is refused');
SELECT throws_ok($$SELECT orgusers.resend_invitation(org('Smith Ltd'), inv('Smith Ltd', 'p1'))$$, 'OU212', NULL, 'E3: and sending again');
SELECT lives_ok($$SELECT orgusers.cancel_invitation(org('Smith Ltd'), inv('Smith Ltd', 'p1'))$$, 'E3: but not withdrawing');
SELECT is(orgusers.invitations_left(org('Smith Ltd')), 0, 'E3: which gives none back');
SELECT act('bob');
SELECT is(orgusers.invitations_left(org('Smith Ltd')), 50, 'E3: another Admin has fifty of their own');
SELECT lives_ok($$SELECT orgusers.invite_user(org('Smith Ltd'), 'q@example.org')$$, 'E3: and invites');
SELECT act('cyd');
SELECT throws_ok($$SELECT orgusers.invitations_left(org('Smith Ltd'))$$, 'OU002', NULL, 'E3: others have none');
-- The day is the organization's: what was sent on its yesterday counts no more.
RESET ROLE;
SELECT results_eq($$SELECT DISTINCT day FROM orgusers.invitation_quota$$, $$SELECT (clock_timestamp() AT TIME ZONE 'Pacific/Auckland')::date$$, 'E3: the day is the organization''s');
UPDATE orgusers.invitation_quota SET day = day - 1;
SET LOCAL ROLE regress_ou_app;
SELECT act('ann');
SELECT is(orgusers.invitations_left(org('Smith Ltd')), 50, 'E3: on the next one there are fifty again');

-- E7 and E10: without an account
SELECT lives_ok($$SELECT orgusers.invite_user(org('Smith Ltd'), 'new@example.org', '{Payer}', first_name => 'New', last_name => 'User')$$, 'E7: who has no account');
SET LOCAL ROLE regress_ou_server;
SELECT act(NULL);
UPDATE kept SET token = mail_token('Smith Ltd', 'new');
SELECT throws_ok($$SELECT * FROM kept, orgusers.register_and_accept(token::orgusers.invitation_token, 'other@example.org')$$, 'OU206', NULL, 'E7: for another address there is none');
SELECT is(person('other'), NULL, 'E7: and no user is made');
SELECT lives_ok($$SELECT * FROM kept, orgusers.register_and_accept(token::orgusers.invitation_token, 'new@example.org')$$, 'E7: creates one in the same step');
SELECT is(roles_of('Smith Ltd', 'new'), 'Payer', 'E7: and is a user of the organization');
SELECT throws_ok($$SELECT * FROM kept, orgusers.register_and_accept(token::orgusers.invitation_token, 'new@example.org')$$, 'OU205', NULL, 'E7: once');
SET LOCAL ROLE regress_ou_app;
SELECT throws_ok($$SELECT * FROM kept, orgusers.register_and_accept(token::orgusers.invitation_token, 'new@example.org')$$, '42501', NULL, 'E7: registering is for the trusted server');
SELECT is(mails('new'), 'invitation welcome', 'E10: a newly registered user gets a welcome mail');
SELECT matches(mails('cyd'), ' welcome$', 'E10: so does who had an account');

-- E8: without rights
SELECT act('eve');
SELECT lives_ok($$SELECT orgusers.accept_my_invitation(org_id, id) FROM orgusers.my_invitations()$$, 'E8: invited without a role');
SELECT is(orgusers.access_state(org('Smith Ltd')), 'restricted', 'E8: a user without rights is restricted, for a banner');
SELECT ok(orgusers.can(org('Smith Ltd'), 'home.view'), 'E8: has the base permissions');
SELECT ok(NOT orgusers.can(org('Smith Ltd'), p), 'E8: and not ' || p) FROM unnest(ARRAY['orders.view', 'invoices.view', 'users.view', 'users.invite', 'spaces.view', 'roles.manage']) p;
SELECT throws_ok($$SELECT * FROM orgusers.list_users(org('Smith Ltd'))$$, 'OU002', NULL, 'E8: is refused the users');
SELECT is(orgusers.new_areas(org('Smith Ltd')), '{}', 'E9: nothing is new');
-- E9: rights are given
SELECT act('bob');
SELECT lives_ok($$SELECT orgusers.set_user_roles(org('Smith Ltd'), person('eve'), '{Purchaser,Payer}')$$, 'E9: rights are given');
SELECT act('eve');
SELECT is(orgusers.access_state(org('Smith Ltd')), 'full', 'E8: and the banner is gone by itself');
SELECT is(orgusers.new_areas(org('Smith Ltd')), '{invoices,orders}', 'E9: the next sign-in learns what is new');
SELECT is(orgusers.new_areas(org('Smith Ltd')), '{}', 'E9: once');
SELECT is(orgusers.access_state(org('Smith Ltd')), 'full', 'E8: and stays so');
SELECT act('gus');
SELECT is(orgusers.access_state(org('Smith Ltd')), 'none', 'E8: an outsider has no access');
SELECT is(orgusers.new_areas(org('Smith Ltd')), '{}', 'E9: and nothing new');

-- E11 to E13: leaving
SELECT act('fay');
SELECT orgusers.create_my_organization('Jones Ltd', 'customer_hub') AS jones \gset
SELECT act('gus');
SELECT orgusers.create_my_organization('Brown Ltd', 'customer_hub') AS brown \gset
SELECT enlist(o, 'eve', 'User') FROM unnest(ARRAY['Jones Ltd', 'Brown Ltd']) o;
SELECT act('eve');
SELECT results_eq($$SELECT organization, roles, remaining_count, refused FROM orgusers.preview_leaving(org('Smith Ltd'))$$, $$VALUES ('Smith Ltd', '{Payer,Purchaser}'::text[], 2, NULL::text)$$, 'E11: first, what it would do');
SELECT ok(orgusers.is_member(org('Smith Ltd')), 'E11: which does nothing');
SELECT throws_ok(format($$SELECT * FROM orgusers.leave_organization(org('Smith Ltd'), %s)$$, c), 'OU116', NULL, 'E11: without a confirmation nothing happens: ' || c) FROM unnest(ARRAY['NULL', '''''', '''yes''']) c;
SELECT throws_ok($$SELECT * FROM orgusers.leave_organization(org('Smith Ltd'), (SELECT confirmation FROM orgusers.preview_leaving(org('Jones Ltd'))))$$, 'OU116', NULL, 'E11: nor with another organization''s');
SELECT results_eq($$SELECT remaining, remaining_count FROM orgusers.leave_organization(org('Smith Ltd'), (SELECT confirmation FROM orgusers.preview_leaving(org('Smith Ltd'))))$$,
    $$VALUES ('several', 2)$$, 'E12: then the confirmation; several organizations remain');
SELECT ok(NOT orgusers.is_member(org('Smith Ltd')), 'E12: access is blocked at once');
SELECT is(orgusers.access_state(org('Smith Ltd')), 'none', 'E12: there is no state but none');
SELECT throws_ok(format('SELECT * FROM orgusers.%s', call), 'OU101', NULL, 'E12: and refused: ' || call) FROM unnest(ARRAY[
    $$preview_leaving(org('Smith Ltd'))$$, $$switch_organization(org('Smith Ltd'))$$, $$list_roles(org('Smith Ltd'))$$]) call;
SELECT results_eq($$SELECT remaining, next_org_id FROM orgusers.leave_organization(org('Jones Ltd'), (SELECT confirmation FROM orgusers.preview_leaving(org('Jones Ltd'))))$$,
    format($$VALUES ('one', %L::uuid)$$, :'brown'), 'E12: then one, which the user goes on in');
SELECT results_eq($$SELECT remaining, next_org_id FROM orgusers.leave_organization(org('Brown Ltd'), (SELECT confirmation FROM orgusers.preview_leaving(org('Brown Ltd'))))$$,
    $$VALUES ('none', NULL::uuid)$$, 'E12: and none');
SELECT is_empty('SELECT * FROM orgusers.my_organizations()', 'E12: with none there is nothing left');
SELECT is_empty(format('SELECT FROM orgusers.%I', t), 'E12: no row of ' || t) FROM unnest(ARRAY['organizations', 'memberships', 'roles', 'spaces', 'invitations', 'subscriptions', 'groups']) t;
SELECT is((SELECT array_agg(email::text) FROM orgusers.users), '{eve@example.org}', 'E12: but the own profile');
SELECT lives_ok($$SELECT orgusers.update_profile('Eve', NULL, 'de')$$, 'E12: whose language can be set');
SELECT is((SELECT locale FROM orgusers.my_profile()), 'de', 'E12: and is');
SELECT is((SELECT count(*)::int FROM regexp_matches(mails(who), 'user_left', 'g')), 1, 'E13: an Admin gets mail when a user has left: ' || who) FROM unnest(ARRAY['ann', 'bob', 'fay', 'gus']) who;
SELECT is((SELECT count(*)::int FROM regexp_matches(mails(who), 'user_left', 'g')), 0, 'E13: nobody else does: ' || who) FROM unnest(ARRAY['cyd', 'dan', 'eve', 'new']) who;
SELECT act('fay');
SELECT is((SELECT refused FROM orgusers.preview_leaving(org('Jones Ltd'))), 'OU303', 'E11: the last Admin is told that it cannot be');
SELECT throws_ok($$SELECT * FROM orgusers.leave_organization(org('Jones Ltd'), 'x')$$, 'OU303', NULL, 'E11: and is refused');
SELECT act(NULL);
SELECT throws_ok($$SELECT * FROM orgusers.preview_leaving(org('Jones Ltd'))$$, 'OU001', NULL, 'E11: so is nobody');

SELECT * FROM finish();
ROLLBACK;
