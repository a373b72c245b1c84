-- Invitations under the policy plans_and_groups.
BEGIN;
\ir setup.psql
SELECT no_plan();

SET LOCAL ROLE regress_ou_app;
SELECT act('ann');
DO $$ BEGIN
    PERFORM orgusers.create_my_organization('Acme', 'plans_and_groups');
    PERFORM as_owner('UPDATE orgusers.plans SET seats = 10');
    PERFORM enlist('Acme', 'bob');
    PERFORM enlist('Acme', 'cyd', 'ADMIN');
    PERFORM orgusers.create_group(org('Acme'), 'ops', '{USER}');
    PERFORM orgusers.create_group(org('Acme'), 'chiefs', '{ADMIN}');
    PERFORM act('eve');
    PERFORM orgusers.create_my_organization('Other', 'plans_and_groups');
    PERFORM act('ann');
END $$;

-- A5: what an invitation carries
SELECT lives_ok($$SELECT orgusers.invite_user(org('Acme'), 'Dan@Example.ORG', '{USER,ADMIN}', '{ops,chiefs}', 'Dan', 'Dörr', 'de-AT')$$, 'A5: an invitation with everything');
SELECT results_eq($$SELECT email::text, first_name, last_name, roles, groups, status, invited_by FROM orgusers.list_invitations(org('Acme'))$$,
    $$VALUES ('Dan@Example.ORG', 'Dan', 'Dörr', '{ADMIN,USER}'::text[], '{chiefs,ops}'::text[], 'pending', person('ann'))$$,
    'A5: names, address as written, roles, groups and inviter are listed');
RESET ROLE;
SELECT results_eq($$SELECT kind, recipient::text, recipient_name, locale, variables ->> 'inviter', variables ->> 'organization', sealed_token IS NOT NULL FROM orgusers.mail_outbox$$,
    $$VALUES ('invitation', 'Dan@Example.ORG', 'Dan Dörr', 'de-AT', 'Ann', 'Acme', true)$$, 'A5: its mail goes to the address, by name, in the language, with a sealed token');
SELECT is((SELECT count(*)::int FROM orgusers.invitation_tokens t, orgusers.mail_outbox m WHERE position(t.digest IN m.sealed_token) > 0), 0, 'A5: the outbox does not show the digest');
SET LOCAL ROLE regress_ou_app;
SELECT lives_ok($$SELECT orgusers.invite_user(org('Acme'), 'fay@example.org')$$, 'A5: names, roles and groups can be left out');
SELECT results_eq($$SELECT first_name, last_name, roles, groups FROM orgusers.list_invitations(org('Acme')) WHERE email = 'fay@example.org'$$,
    $$VALUES (NULL::text, NULL::text, '{USER}'::text[], '{}'::text[])$$, 'A5: then the default role is given');
SELECT lives_ok($$SELECT orgusers.invite_user(org('Acme'), 'gus@example.org', '{}', '{}', send => false)$$, 'A5: an empty list of roles is the default one too, and no mail need be sent');
SELECT is(mails('gus'), '', 'A5: and none is');
SELECT throws_ok(s, code, NULL, 'A5: refused: ' || s) FROM (VALUES
    ($$SELECT orgusers.invite_user(org('Acme'), NULL)$$, 'OU201'),
    ($$SELECT orgusers.invite_user(org('Acme'), 'no address')$$, 'OU201'),
    ($$SELECT orgusers.invite_user(org('Acme'), '')$$, 'OU201'),
    ($$SELECT orgusers.invite_user(org('Acme'), 'a@example.org, b@example.org')$$, 'OU201'),
    ($$SELECT orgusers.invite_user(org('Acme'), E'x@example.org\nBcc: y@example.org')$$, 'OU201'),
    ($$SELECT orgusers.invite_user(org('Acme'), 'x@example.org', '{BOSS}')$$, 'OU103'),
    ($$SELECT orgusers.invite_user(org('Acme'), 'x@example.org', '{USER,NULL}')$$, 'OU103'),
    ($$SELECT orgusers.invite_user(org('Acme'), 'x@example.org', groups => '{nobody}')$$, 'OU104'),
    ($$SELECT orgusers.invite_user(org('Acme'), 'x@example.org', groups => '{NULL}')$$, 'OU104'),
    ($$SELECT orgusers.invite_user(org('Acme'), 'x@example.org', first_name => '')$$, 'OU106'),
    ($$SELECT orgusers.invite_user(org('Acme'), 'x@example.org', last_name => E'O\r\nBcc: y@example.org')$$, 'OU106'),
    ($$SELECT orgusers.invite_user(org('Acme'), 'x@example.org', first_name => repeat('x', 201))$$, 'OU106'),
    ($$SELECT orgusers.invite_user(org('Acme'), 'DAN@example.org')$$, 'OU208'),
    ($$SELECT orgusers.invite_user(org('Acme'), 'BOB@example.org')$$, 'OU209'),
    ($$SELECT orgusers.invite_user(org('Acme'), 'ann@example.org')$$, 'OU209')) AS v (s, code);
SELECT is((SELECT count(*)::int FROM orgusers.list_invitations(org('Acme'))), 3, 'A5: refused calls leave no invitation');
SELECT act('cyd');
SELECT lives_ok($$SELECT orgusers.deactivate_user(org('Acme'), person('bob'))$$, 'A5: a user is deactivated');
SELECT throws_ok($$SELECT orgusers.invite_user(org('Acme'), 'bob@example.org')$$, 'OU209', NULL, 'A5: who is not invited but reactivated');
SELECT lives_ok($$SELECT orgusers.reactivate_user(org('Acme'), person('bob'))$$, 'A5: and is');

-- A10: seven days by the clock
SELECT results_eq($$SELECT DISTINCT expires_at > clock_timestamp() + interval '7 days' - interval '1 minute' AND expires_at <= clock_timestamp() + interval '7 days'
                    FROM orgusers.list_invitations(org('Acme'))$$, ARRAY[true], 'A10: an invitation is good for seven days');
SELECT as_owner($$UPDATE orgusers.invitations SET expires_at = clock_timestamp() - interval '1 second' WHERE id = inv('Acme', 'fay')$$);
SELECT results_eq($$SELECT status FROM orgusers.list_invitations(org('Acme')) WHERE email = 'fay@example.org'$$, ARRAY['expired'], 'A10: afterwards it is listed as expired');
SELECT results_eq($$SELECT email::text FROM orgusers.list_invitations(org('Acme'), 'expired')$$, ARRAY['fay@example.org'], 'A10: and found as that');
SELECT is((SELECT count(*)::int FROM orgusers.list_invitations(org('Acme'), 'pending')), 2, 'A10: and not among the pending ones');
SELECT mail_token('Acme', 'fay') AS token \gset
SELECT act('fay');
SELECT is_empty('SELECT * FROM orgusers.my_invitations()', 'A10: the invited person does not see it any more');
SELECT throws_ok(format('SELECT orgusers.accept_invitation(%L)', :'token'), 'OU204', NULL, 'A10: an expired invitation is not accepted by token');
SELECT throws_ok($$SELECT orgusers.accept_my_invitation(org('Acme'), inv('Acme', 'fay'))$$, 'OU204', NULL, 'A10: nor without');
SELECT throws_ok(format('SELECT orgusers.decline_invitation(%L)', :'token'), 'OU204', NULL, 'A10: nor declined');
SELECT is((SELECT status FROM orgusers.preview_invitation(:'token')), 'expired', 'A10: a preview says so');
SELECT as_owner($$UPDATE orgusers.invitations SET expires_at = clock_timestamp() WHERE id = inv('Acme', 'fay')$$);
SELECT throws_ok($$SELECT orgusers.accept_my_invitation(org('Acme'), inv('Acme', 'fay'))$$, 'OU204', NULL, 'A10: what counts is the clock, not the start of the transaction');
SELECT is_empty('SELECT * FROM orgusers.my_invitations()', 'A10: for what is shown, too');
SELECT act('cyd');
SELECT throws_ok($$SELECT orgusers.invitation_link(org('Acme'), inv('Acme', 'fay'))$$, 'OU204', NULL, 'A10: there is no link of an expired invitation');
SELECT lives_ok($$SELECT orgusers.resend_invitation(org('Acme'), inv('Acme', 'fay'))$$, 'A7: an expired invitation is sent again');
SELECT results_eq($$SELECT status, invited_by, expires_at > clock_timestamp() + interval '7 days' - interval '1 minute' FROM orgusers.list_invitations(org('Acme')) WHERE email = 'fay@example.org'$$,
    $$VALUES ('pending', person('cyd'), true)$$, 'A10: and has seven days again, in the name of who sent it last');
SELECT act('fay');
SELECT throws_ok(format('SELECT orgusers.accept_invitation(%L)', :'token'), 'OU203', NULL, 'A7: the token mailed before is dead');
SELECT throws_ok(format('SELECT orgusers.preview_invitation(%L)', :'token'), 'OU203', NULL, 'A7: for a preview too');
SELECT is((SELECT count(*)::int FROM orgusers.my_invitations()), 1, 'A7: the person sees the invitation again');
SELECT act('ann');
SELECT as_owner($$UPDATE orgusers.invitations SET expires_at = clock_timestamp() - interval '1 second' WHERE id = inv('Acme', 'fay')$$);
SELECT inv('Acme', 'fay') AS first \gset
SELECT lives_ok($$SELECT orgusers.invite_user(org('Acme'), 'fay@example.org')$$, 'A10: an expired invitation does not keep the address from a new one');
SELECT throws_ok(format('SELECT orgusers.resend_invitation(%L, %L)', org('Acme'), :'first'), 'OU205', NULL, 'A7: and the old one cannot come back beside it');
SELECT is((SELECT count(*)::int FROM orgusers.list_invitations(org('Acme'), 'pending') WHERE email = 'fay@example.org'), 1, 'A7: one invitation is pending');
RESET ROLE;
SELECT is((SELECT count(*)::int FROM orgusers.mail_outbox WHERE invitation_id = :'first' AND sealed_token IS NOT NULL), 0, 'A10: no mail of the one before waits to be sent');
SET LOCAL ROLE regress_ou_app;

-- A7: resend and link
SELECT mail_token('Acme', 'gus') AS sent \gset
SELECT act('cyd');
SELECT link_token(orgusers.invitation_link(org('Acme'), inv('Acme', 'gus'))) AS link \gset
SELECT isnt(:'link'::text, :'sent', 'A7: a link has a token of its own');
SELECT lives_ok(format('SELECT orgusers.preview_invitation(%L)', :'sent'), 'A7: the token sent before goes on working');
SELECT link_token(orgusers.invitation_link(org('Acme'), inv('Acme', 'gus'))) AS link2 \gset
SELECT lives_ok(format('SELECT orgusers.preview_invitation(%L)', :'link'), 'A7: so does the first link beside the second');
SELECT act(NULL);
SELECT results_eq(format('SELECT organization, email::text, invited_by, roles, status FROM orgusers.preview_invitation(%L)', :'link'),
    $$VALUES ('Acme', 'gus@example.org', 'Ann', '{USER}'::text[], 'pending')$$, 'A7: whoever has a token sees what it is for, also anonymously');
SELECT throws_ok(format('SELECT orgusers.accept_invitation(%L)', :'link'), 'OU001', NULL, 'A11: but nobody accepts anonymously');
SELECT throws_ok(format('SELECT orgusers.decline_invitation(%L)', :'link'), 'OU001', NULL, 'A11: nor declines');
SELECT act('cyd');
SELECT lives_ok($$SELECT orgusers.resend_invitation(org('Acme'), inv('Acme', 'gus'))$$, 'A7: an invitation is sent again');
SELECT lives_ok($$SELECT orgusers.resend_invitation(org('Acme'), inv('Acme', 'gus'))$$, 'A7: and again');
SELECT throws_ok(format('SELECT orgusers.preview_invitation(%L)', :'sent'), 'OU203', NULL, 'A7: the former mail''s token is dead');
SELECT lives_ok(format('SELECT orgusers.preview_invitation(%L)', :'link'), 'A7: links go on working');
RESET ROLE;
SELECT results_eq($$SELECT status, count(*)::int, count(sealed_token)::int FROM orgusers.mail_outbox WHERE recipient = 'gus@example.org' GROUP BY 1 ORDER BY 1$$,
    $$VALUES ('queued', 1, 1), ('withdrawn', 1, 0)$$, 'A7: only the last mail waits to be sent');
SELECT is((SELECT count(*)::int FROM orgusers.invitation_tokens WHERE invitation_id = inv('Acme', 'gus') AND kind = 'mail'), 1, 'A7: one mailed token is left');
SET LOCAL ROLE regress_ou_app;

-- A11: accepting, by whom
SELECT act('dan');
SELECT throws_ok(format('SELECT orgusers.accept_invitation(%L)', :'link'), 'OU206', NULL, 'A11: another address does not accept');
SELECT throws_ok(format('SELECT orgusers.decline_invitation(%L)', :'link'), 'OU206', NULL, 'A11: nor decline');
SELECT throws_ok($$SELECT orgusers.accept_my_invitation(org('Acme'), inv('Acme', 'gus'))$$, 'OU211', NULL, 'A11: nor by the invitation''s id');
SELECT throws_ok($$SELECT orgusers.decline_my_invitation(org('Acme'), inv('Acme', 'gus'))$$, 'OU211', NULL, 'A11: nor decline by it');
SELECT throws_ok($$SELECT orgusers.accept_my_invitation(org('Other'), inv('Acme', 'dan'))$$, 'OU211', NULL, 'A11: an invitation is one of its organization');
SELECT results_eq('SELECT organization, invited_by, roles FROM orgusers.my_invitations()', $$VALUES ('Acme', 'Ann', '{ADMIN,USER}'::text[])$$, 'A11: a person with the invited address, verified, is shown the invitation');
SELECT results_eq($$SELECT orgusers.accept_my_invitation(org_id, id) FROM orgusers.my_invitations()$$, $$SELECT org('Acme')$$, 'A11: and accepts without the link');
SELECT is_empty('SELECT * FROM orgusers.my_invitations()', 'A11: then it waits no more');
RESET ROLE;
SELECT is((SELECT count(*)::int FROM orgusers.mail_outbox WHERE invitation_id = inv('Acme', 'dan') AND sealed_token IS NOT NULL), 0, 'A11: and no mail of it goes out');
SET LOCAL ROLE regress_ou_app;
SELECT is(roles_of('Acme', 'dan'), 'ADMIN USER', 'A5: accepting gives the roles');
SELECT results_eq($$SELECT groups, status FROM orgusers.list_users(org('Acme'), 'dan')$$, $$VALUES ('{chiefs,ops}'::text[], 'active')$$, 'A5: and the groups');
SELECT is((SELECT name FROM orgusers.my_organizations() WHERE is_current), 'Acme', 'A12: the first organization accepted is the current one');
SELECT lives_ok($$SELECT orgusers.switch_organization(org('Acme'))$$, 'A12: and can be switched to');
SELECT results_eq($$SELECT orgusers.accept_my_invitation(org('Acme'), inv('Acme', 'dan'))$$, $$SELECT org('Acme')$$, 'A11: accepting twice is accepting once');
SELECT is((SELECT count(*)::int FROM orgusers.list_users(org('Acme'), 'dan')), 1, 'A12: the person is in the list, once');
SELECT throws_ok($$SELECT orgusers.decline_my_invitation(org('Acme'), inv('Acme', 'dan'))$$, 'OU205', NULL, 'A11: what is accepted is not declined');
SELECT act('ann');
SELECT throws_ok(s, 'OU205', NULL, 'A7: of an accepted invitation, refused: ' || s) FROM (VALUES
    ($$SELECT orgusers.resend_invitation(org('Acme'), inv('Acme', 'dan'))$$),
    ($$SELECT orgusers.invitation_link(org('Acme'), inv('Acme', 'dan'))$$),
    ($$SELECT orgusers.cancel_invitation(org('Acme'), inv('Acme', 'dan'))$$)) AS v (s);
SELECT is(mails('dan'), 'invitation', 'A13: and no mail about it goes out');

-- Another one by a link, verified
SELECT act('gus');
SELECT is(orgusers.accept_invitation(:'link'), org('Acme'), 'A11: a verified person accepts by a link');
SELECT is(orgusers.accept_invitation(:'link2'), org('Acme'), 'A11: a second link of the same invitation finds it accepted');
SELECT is((SELECT status FROM orgusers.preview_invitation(:'link')), 'accepted', 'A11: a preview says so');
SELECT act('cyd');
SELECT lives_ok($$SELECT orgusers.remove_user(org('Acme'), person('gus'))$$, 'A4: the user is removed');
SELECT act('gus');
SELECT throws_ok(format('SELECT orgusers.accept_invitation(%L)', :'link'), 'OU205', NULL, 'A4: and does not come back by the link used');
SELECT throws_ok($$SELECT orgusers.accept_my_invitation(org('Acme'), inv('Acme', 'gus'))$$, 'OU205', NULL, 'A4: nor by the invitation''s id');
SELECT throws_ok(format('SELECT orgusers.decline_invitation(%L)', :'link'), 'OU205', NULL, 'A4: nor turns it into a declined one');
SELECT act('cyd');
SELECT lives_ok($$SELECT orgusers.remove_invitation(org('Acme'), inv('Acme', 'gus'))$$, 'A7: an accepted invitation is taken off the list');
SELECT act('gus');
SELECT throws_ok(format('SELECT orgusers.accept_invitation(%L)', :'link'), 'OU203', NULL, 'A7: then its tokens open nothing');
SELECT act('cyd');
SELECT lives_ok($$SELECT orgusers.invite_user(org('Acme'), 'gus@example.org')$$, 'A5: who was removed can be invited again');

-- A deactivated user keeps to the door.
SELECT act('gus');
SELECT lives_ok($$SELECT orgusers.accept_my_invitation(org('Acme'), inv('Acme', 'gus'))$$, 'A11: the second invitation is accepted');
SELECT act('ann');
SELECT lives_ok($$SELECT orgusers.deactivate_user(org('Acme'), person('gus'))$$, 'A4: and its user deactivated');
SELECT act('gus');
SELECT throws_ok($$SELECT orgusers.accept_my_invitation(org('Acme'), inv('Acme', 'gus'))$$, 'OU205', NULL, 'A4: who is not reactivated by accepting again');
SELECT as_owner($$UPDATE orgusers.invitations SET status = 'pending', answered_by = NULL, closed_at = NULL WHERE id = inv('Acme', 'gus')$$);
SELECT throws_ok($$SELECT orgusers.accept_my_invitation(org('Acme'), inv('Acme', 'gus'))$$, 'OU110', NULL, 'A4: nor by an invitation that is open');
SELECT is((SELECT status FROM orgusers.my_organizations() WHERE name = 'Acme'), 'deactivated', 'A4: and stays deactivated');

-- Not verified: by link no, by mail yes
SELECT act('ann');
SELECT lives_ok($$SELECT orgusers.invite_user(org('Acme'), 'una@example.org', first_name => 'Una')$$, 'A11: an address that is not verified is invited');
SELECT link_token(orgusers.invitation_link(org('Acme'), inv('Acme', 'una'))) AS link \gset
SELECT mail_token('Acme', 'una') AS sent \gset
SELECT act('una');
SELECT is_empty('SELECT * FROM orgusers.my_invitations()', 'A11: an address that is not verified is shown nothing');
SELECT throws_ok($$SELECT orgusers.accept_my_invitation(org('Acme'), inv('Acme', 'una'))$$, 'OU207', NULL, 'A11: accepts nothing without a token');
SELECT throws_ok($$SELECT orgusers.decline_my_invitation(org('Acme'), inv('Acme', 'una'))$$, 'OU207', NULL, 'A11: nor declines');
SELECT throws_ok(format('SELECT orgusers.accept_invitation(%L)', :'link'), 'OU207', NULL, 'A11: nor by a link that was copied');
SELECT throws_ok(format('SELECT orgusers.decline_invitation(%L)', :'link'), 'OU207', NULL, 'A11: nor declines by it');
SELECT is((SELECT email_verified_at FROM orgusers.my_profile()), NULL, 'A11: and is not verified by trying');
SELECT is(orgusers.accept_invitation(:'sent'), org('Acme'), 'A11: the token that came by mail proves the address');
SELECT isnt((SELECT email_verified_at FROM orgusers.my_profile()), NULL, 'A11: and that is remembered');

-- Declining
SELECT act('ann');
SELECT link_token(orgusers.invitation_link(org('Acme'), inv('Acme', 'fay'))) AS link \gset
SELECT act('fay');
SELECT lives_ok($$SELECT orgusers.decline_my_invitation(org('Acme'), inv('Acme', 'fay'))$$, 'A11: an invitation is rejected without the link');
SELECT lives_ok($$SELECT orgusers.decline_my_invitation(org('Acme'), inv('Acme', 'fay'))$$, 'A11: twice is no error');
SELECT lives_ok(format('SELECT orgusers.decline_invitation(%L)', :'link'), 'A11: by the link neither');
SELECT is(mails('ann'), 'invitation_declined', 'A11: the inviter gets one mail about it');
SELECT is_empty('SELECT * FROM orgusers.my_invitations()', 'A11: it is shown no more');
SELECT throws_ok($$SELECT orgusers.accept_my_invitation(org('Acme'), inv('Acme', 'fay'))$$, 'OU205', NULL, 'A11: what is rejected is not accepted later');
SELECT throws_ok(format('SELECT orgusers.accept_invitation(%L)', :'link'), 'OU205', NULL, 'A11: nor by a link');
SELECT is(orgusers.is_member(org('Acme')), false, 'A11: and gives no access');
SELECT act('ann');
SELECT throws_ok($$SELECT orgusers.resend_invitation(org('Acme'), inv('Acme', 'fay'))$$, 'OU205', NULL, 'A7: what is rejected is not sent again');
SELECT throws_ok($$SELECT orgusers.cancel_invitation(org('Acme'), inv('Acme', 'fay'))$$, 'OU205', NULL, 'A7: nor withdrawn');
SELECT is((SELECT count(*)::int FROM orgusers.list_invitations(org('Acme'), 'declined')), 1, 'A7: it is listed as declined');
RESET ROLE;
SELECT is((SELECT count(*)::int FROM orgusers.mail_outbox WHERE invitation_id = inv('Acme', 'fay') AND sealed_token IS NOT NULL), 0, 'A11: no mail of it goes out');
SET LOCAL ROLE regress_ou_app;
SELECT lives_ok($$SELECT orgusers.invite_user(org('Acme'), 'fay@example.org')$$, 'A7: under this policy the address is invited anew at once');
SELECT as_owner($$UPDATE orgusers.policies SET declined_blocks = true$$);
SELECT act('fay');
SELECT lives_ok($$SELECT orgusers.decline_my_invitation(org('Acme'), inv('Acme', 'fay'))$$, 'A11: rejected once more');
SELECT act('ann');
SELECT throws_ok($$SELECT orgusers.invite_user(org('Acme'), 'FAY@example.org')$$, 'OU208', NULL, 'A7: where the policy says so, the rejected invitation blocks the address');
SELECT orgusers.remove_invitation(org('Acme'), id) FROM orgusers.list_invitations(org('Acme'), 'declined');
SELECT lives_ok($$SELECT orgusers.invite_user(org('Acme'), 'fay@example.org')$$, 'A7: until it is removed');

-- A13: withdrawing
SELECT mail_token('Acme', 'fay') AS sent \gset
SELECT link_token(orgusers.invitation_link(org('Acme'), inv('Acme', 'fay'))) AS link \gset
SELECT throws_ok($$SELECT orgusers.remove_invitation(org('Acme'), inv('Acme', 'fay'))$$, 'OU205', NULL, 'A7: a pending invitation is not removed without being withdrawn');
SELECT lives_ok($$SELECT orgusers.cancel_invitation(org('Acme'), inv('Acme', 'fay'))$$, 'A7: an invitation is withdrawn');
SELECT alike(mails('fay'), '% invitation_canceled', 'A13: the invited person gets mail about it');
RESET ROLE;
SELECT is((SELECT count(*)::int FROM orgusers.mail_outbox WHERE invitation_id = inv('Acme', 'fay') AND sealed_token IS NOT NULL), 0,
    'A13: and no mail of the invitation itself after that');
SET LOCAL ROLE regress_ou_mailer;
SELECT is((SELECT count(*)::int FROM orgusers.claim_mail(100) WHERE kind = 'invitation_canceled' AND recipient = 'fay@example.org'
           AND replace(replace(subject, '{{organization}}', variables ->> 'organization'), '{{product}}', variables ->> 'product') =
               'Your invitation to join Acme in Example has been canceled'), 1, 'A13: whose subject says that the invitation to join has been canceled');
SET LOCAL ROLE regress_ou_app;
SELECT throws_ok($$SELECT orgusers.cancel_invitation(org('Acme'), inv('Acme', 'fay'))$$, 'OU205', NULL, 'A7: nothing is withdrawn twice');
SELECT throws_ok($$SELECT orgusers.resend_invitation(org('Acme'), inv('Acme', 'fay'))$$, 'OU205', NULL, 'A7: nor sent again');
SELECT throws_ok($$SELECT orgusers.invitation_link(org('Acme'), inv('Acme', 'fay'))$$, 'OU205', NULL, 'A7: nor is there a link');
SELECT act('fay');
SELECT throws_ok(format('SELECT orgusers.accept_invitation(%L)', :'link'), 'OU205', NULL, 'A7: a withdrawn invitation is not accepted by a link');
SELECT throws_ok(format('SELECT orgusers.accept_invitation(%L)', :'sent'), 'OU205', NULL, 'A7: nor by the mail');
SELECT throws_ok($$SELECT orgusers.accept_my_invitation(org('Acme'), inv('Acme', 'fay'))$$, 'OU205', NULL, 'A7: nor without');
SELECT throws_ok(format('SELECT orgusers.decline_invitation(%L)', :'link'), 'OU205', NULL, 'A7: nor declined');
SELECT act('ann');
SELECT lives_ok($$SELECT orgusers.remove_invitation(org('Acme'), inv('Acme', 'fay'))$$, 'A7: it is taken off the list');
SELECT as_owner($$UPDATE orgusers.policies SET declined_blocks = false$$);
SELECT lives_ok($$SELECT orgusers.invite_user(org('Acme'), 'fay@example.org')$$, 'A7: and the address invited anew');
SELECT as_owner($$UPDATE orgusers.invitations SET expires_at = clock_timestamp() - interval '1 second' WHERE id = inv('Acme', 'fay')$$);
SELECT lives_ok($$SELECT orgusers.cancel_invitation(org('Acme'), inv('Acme', 'fay'))$$, 'A7: an expired invitation is withdrawn too');
SELECT act('eve');
SELECT throws_ok(s, 'OU211', NULL, 'A7: another organization''s invitation cannot be reached through one''s own: ' || s) FROM (VALUES
    ($$SELECT orgusers.resend_invitation(org('Other'), inv('Acme', 'fay'))$$),
    ($$SELECT orgusers.invitation_link(org('Other'), inv('Acme', 'fay'))$$),
    ($$SELECT orgusers.cancel_invitation(org('Other'), inv('Acme', 'fay'))$$),
    ($$SELECT orgusers.remove_invitation(org('Other'), inv('Acme', 'fay'))$$)) AS v (s);

-- The inviter's authority is needed until the end.
SELECT act('cyd');
SELECT lives_ok($$SELECT orgusers.invite_user(org('Acme'), 'fay@example.org', '{ADMIN}')$$, 'A1: an invitation by an ADMIN');
SELECT mail_token('Acme', 'fay') AS sent \gset
CREATE FUNCTION pg_temp.refused(what text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM act('fay');
    RETURN NEXT throws_ok(format('SELECT orgusers.accept_my_invitation(%L, %L)', org('Acme'), inv('Acme', 'fay')), 'OU210', NULL, 'A1: not accepted after the inviter was ' || what);
    PERFORM act('ann');
END $$;
SELECT act('ann');
SELECT orgusers.set_user_roles(org('Acme'), person('cyd'), '{USER}');
SELECT pg_temp.refused('demoted');
SELECT act('fay');
SELECT throws_ok(format('SELECT orgusers.accept_invitation(%L)', :'sent'), 'OU210', NULL, 'A1: not by the mailed token either');
SELECT lives_ok(format('SELECT orgusers.preview_invitation(%L)', :'sent'), 'A1: which still shows what it was');
SELECT act('ann');
SELECT orgusers.set_user_roles(org('Acme'), person('cyd'), '{ADMIN}');
SELECT orgusers.deactivate_user(org('Acme'), person('cyd'));
SELECT pg_temp.refused('deactivated');
SELECT orgusers.reactivate_user(org('Acme'), person('cyd'));
SELECT orgusers.remove_user(org('Acme'), person('cyd'));
SELECT pg_temp.refused('removed');
SELECT as_owner($$DELETE FROM orgusers.users WHERE id = person('cyd')$$);
SELECT pg_temp.refused('deleted');
SELECT is(active('Acme') LIKE '%fay%', false, 'A1: and nobody came in');
SELECT lives_ok($$SELECT orgusers.resend_invitation(org('Acme'), inv('Acme', 'fay'))$$, 'A7: another ADMIN sends it again');

-- A group that comes to carry more than the inviter may give
SELECT as_owner($$INSERT INTO orgusers.role_templates (policy, id, name) VALUES ('plans_and_groups', 'clerk', 'CLERK')$$);
SELECT as_owner($$INSERT INTO orgusers.role_template_permissions (policy, template, permission)
    VALUES ('plans_and_groups', 'clerk', 'users.invite'), ('plans_and_groups', 'clerk', 'users.view')$$);
SELECT as_owner($$INSERT INTO orgusers.role_template_grants VALUES ('plans_and_groups', 'clerk', 'user')$$);
SELECT as_owner($$INSERT INTO orgusers.roles (org_id, policy, template, name) VALUES (org('Acme'), 'plans_and_groups', 'clerk', 'CLERK')$$);
SELECT as_owner($$INSERT INTO orgusers.membership_roles SELECT org_id, person('bob'), id FROM orgusers.roles WHERE name = 'CLERK'$$);
SELECT orgusers.cancel_invitation(org('Acme'), inv('Acme', 'fay'));
SELECT act('bob');
SELECT lives_ok($$SELECT orgusers.invite_user(org('Acme'), 'fay@example.org', '{USER}', '{ops}')$$, 'A1: who may give USER invites to a group that carries USER');
SELECT act('ann');
SELECT lives_ok($$SELECT orgusers.set_group_roles(org('Acme'), 'ops', '{ADMIN}')$$, 'A4: meanwhile the group gets ADMIN');
SELECT pg_temp.refused('outgrown by the group''s roles');
SELECT lives_ok($$SELECT orgusers.delete_group(org('Acme'), 'ops')$$, 'A4: the group is deleted');
SELECT act('fay');
SELECT lives_ok($$SELECT orgusers.accept_my_invitation(org('Acme'), inv('Acme', 'fay'))$$, 'A5: then the rest of the invitation is accepted');
SELECT is(roles_of('Acme', 'fay'), 'USER', 'A5: with the role, and nothing of the group');

-- A role that is deleted while an invitation is pending, and made again
SELECT act('ann');
SELECT orgusers.remove_user(org('Acme'), person('fay'));
SELECT as_owner($$INSERT INTO orgusers.role_template_grants VALUES ('plans_and_groups', 'admin', 'clerk')$$);
SELECT lives_ok($$SELECT orgusers.invite_user(org('Acme'), 'fay@example.org', '{CLERK}')$$, 'A5: an invitation with a role');
SELECT as_owner($$DELETE FROM orgusers.roles WHERE name = 'CLERK' AND org_id = org('Acme')$$);
SELECT as_owner($$INSERT INTO orgusers.roles (org_id, policy, template, name) VALUES (org('Acme'), 'plans_and_groups', 'clerk', 'CLERK')$$);
SELECT act('fay');
SELECT is((SELECT roles FROM orgusers.my_invitations()), '{}', 'A5: the invitation shows a deleted role no more');
SELECT lives_ok($$SELECT orgusers.accept_my_invitation(org('Acme'), inv('Acme', 'fay'))$$, 'A5: it is accepted');
SELECT is(roles_of('Acme', 'fay'), '', 'A5: and a role of the same name that was made later is not given');
SELECT is(orgusers.can(org('Acme'), 'users.view'), false, 'A5: nor its rights');

-- A14 and A11: invitations of several organizations
SELECT act('eve');
SELECT lives_ok($$SELECT orgusers.invite_user(org('Other'), 'una@example.org')$$, 'A14: a user of one organization is invited to another');
SELECT lives_ok($$SELECT orgusers.invite_user(org('Other'), 'dan@example.org')$$, 'A14: and so is a second one');
SELECT act('una');
SELECT results_eq('SELECT organization FROM orgusers.my_invitations()', ARRAY['Other'], 'A11: and is shown it');
SELECT lives_ok($$SELECT orgusers.accept_my_invitation(org_id, id) FROM orgusers.my_invitations()$$, 'A14: and accepts');
SELECT is((SELECT count(*)::int FROM orgusers.my_organizations()), 2, 'A14: and has two organizations');
SELECT is(orgusers.current_organization_id(), org('Acme'), 'A12: the current one stays as it was');
SELECT lives_ok($$SELECT orgusers.switch_organization(org('Other'))$$, 'A12: until the user switches');
SELECT is(orgusers.current_organization_id(), org('Other'), 'A12: which is remembered');

-- An address that changes
SET LOCAL ROLE regress_ou_server;
SELECT lives_ok($$SELECT orgusers.change_email(person('dan'), 'daniel@example.org')$$, 'A11: an address changes');
SELECT act('daniel');
SELECT is_empty('SELECT * FROM orgusers.my_invitations()', 'A11: the old address''s invitations are not the new one''s');
SELECT orgusers.change_email(orgusers.current_user_id(), 'dan@example.org');
SELECT is_empty('SELECT * FROM orgusers.my_invitations()', 'A11: nor the old one''s before it is verified again');
SELECT orgusers.set_email_verified(orgusers.current_user_id(), 'dan@example.org');
SELECT is((SELECT count(*)::int FROM orgusers.my_invitations()), 1, 'A11: verified, it is shown them again');

-- Tokens that are none
SELECT throws_ok(format('SELECT orgusers.accept_invitation(%L)', t), 'OU202', NULL, 'A11: not a token: ' || t) FROM (VALUES
    (''), ('x'), ('oui_'), (left(:'link', 74)), (:'link' || 'A'), (overlay(:'link' PLACING CASE substr(:'link', 40, 1) WHEN 'A' THEN 'B' ELSE 'A' END FROM 40 FOR 1))) AS v (t);
RESET ROLE;
SELECT orgusers.token_text(orgusers.new_invitation_token(org('Acme'))) AS own, orgusers.token_text(orgusers.new_invitation_token(gen_random_uuid())) AS alien \gset
SET LOCAL ROLE regress_ou_app;
SELECT throws_ok(format('SELECT orgusers.%s(%L)', f, t), 'OU203', 'this token opens no invitation', 'A11: ' || f || ' says nothing more of an unknown token')
    FROM unnest(ARRAY['preview_invitation', 'accept_invitation', 'decline_invitation']) f, unnest(ARRAY[:'own', :'alien']) t;
SELECT throws_ok('SELECT orgusers.accept_invitation(NULL)', 'OU203', NULL, 'A11: nor of NULL');

-- Without a mailer's key
SELECT as_owner($$SELECT orgusers.retire_mailer_key(id) FROM orgusers.mailer_keys$$);
SELECT act('ann');
SELECT throws_ok($$SELECT orgusers.invite_user(org('Acme'), 'x@example.org')$$, 'OU401', NULL, 'A5: without a mailer''s key no invitation is mailed');
SELECT is_empty($$SELECT * FROM orgusers.list_invitations(org('Acme')) WHERE email = 'x@example.org'$$, 'A5: and none is left behind');
SELECT lives_ok($$SELECT orgusers.invite_user(org('Acme'), 'x@example.org', send => false)$$, 'A5: but one can be made without mail');
SELECT throws_ok($$SELECT orgusers.resend_invitation(org('Acme'), inv('Acme', 'x'))$$, 'OU401', NULL, 'A7: not sent again');
SELECT alike(orgusers.invitation_link(org('Acme'), inv('Acme', 'x')), 'https://example.org/invitation#oui\_%', 'A7: and handed over by its link');

SELECT throws_ok(s, 'OU106', NULL, 'A5: not a language: ' || left(s, 100)) FROM (VALUES
    ($$SELECT orgusers.invite_user(org('Acme'), 'y@example.org', locale => E'en\nBcc: y@example.org', send => false)$$),
    ($$SELECT orgusers.invite_user(org('Acme'), 'z@example.org', locale => repeat('x', 100000), send => false)$$)) AS v (s);

-- Pages
SELECT results_eq($$SELECT id FROM orgusers.list_invitations(org('Acme'), page => 1000) ORDER BY id DESC$$, $$SELECT id FROM orgusers.list_invitations(org('Acme'), page => 1000)$$, 'A7: the newest come first');
SELECT results_eq($$SELECT id FROM orgusers.list_invitations(org('Acme'), before => (SELECT id FROM orgusers.list_invitations(org('Acme'), page => 1)), page => 1)$$,
    $$SELECT id FROM orgusers.list_invitations(org('Acme'), page => 1000) OFFSET 1 LIMIT 1$$, 'A7: page after page');

SELECT * FROM finish();
ROLLBACK;
