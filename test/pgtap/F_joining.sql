-- Joining without an invitation: links for many, and domains.
BEGIN;
\ir setup.psql
SELECT no_plan();

UPDATE orgusers.role_templates SET joinable = true WHERE policy = 'plans_and_groups' AND id = 'user';
SELECT act('ann');
SELECT orgusers.create_organization('Acme', 'plans_and_groups') AS acme \gset
SELECT orgusers.set_plan(:'acme', 'paid', person('ann'));
SELECT enlist('Acme', 'bob');
SELECT act('eve');
SELECT orgusers.create_organization('Other', 'plans_and_groups') AS other \gset
SELECT and_commit('');
DELETE FROM orgusers.mail_outbox;

-- A link's token, kept for the test.
CREATE FUNCTION make_link(roles text[] DEFAULT NULL, most_uses int DEFAULT 100, lifetime interval DEFAULT '7 days', called text DEFAULT 'Acme')
    RETURNS text LANGUAGE sql AS $$ SELECT link_token(link) FROM orgusers.create_join_link(org(called), roles, most_uses, lifetime) $$;
CREATE FUNCTION act_corp(address text) RETURNS void LANGUAGE sql SECURITY DEFINER AS
    $$ SELECT orgusers.act_as((SELECT id FROM orgusers.users WHERE email = address::orgusers.email)) $$;
CREATE FUNCTION newest() RETURNS uuid LANGUAGE sql SECURITY DEFINER AS $$ SELECT id FROM orgusers.join_links ORDER BY id DESC LIMIT 1 $$;
CREATE FUNCTION uses() RETURNS int LANGUAGE sql SECURITY DEFINER AS $$ SELECT uses FROM orgusers.join_links WHERE id = newest() $$;

-- Making links
SET LOCAL ROLE regress_ou_app;
SELECT act('ann');
SELECT matches((SELECT link FROM orgusers.create_join_link(:'acme', '{USER}', 2, '1 day')), '^https://example\.org/invitation#oui_[A-Za-z0-9_-]{71}$',
    'F6: a join link has the page of accept_url and a token');
SELECT as_owner($$UPDATE orgusers.policies SET join_url = 'https://example.org/join#{{token}}'$$);
SELECT matches((SELECT link FROM orgusers.create_join_link(:'acme')), '^https://example\.org/join#oui_', 'F6: or that of join_url');
SELECT results_eq(format('SELECT roles, created_by, most_uses, uses, status, expires_at - created_at > ''6 days'' FROM orgusers.list_join_links(%L) LIMIT 1', :'acme'),
    $$VALUES ('{USER}'::text[], person('ann'), 100, 0, 'open', true)$$, 'F6: it is listed; without names it gives the default roles, a hundred times in a week');
SELECT is((SELECT count(*)::int FROM orgusers.join_links), 2, 'F6: who may manage joining sees the table');
SELECT throws_ok('SELECT digest FROM orgusers.join_links', '42501', NULL, 'F6: without the digest');
SELECT throws_ok(format('SELECT orgusers.create_join_link(%L%s)', :'acme', a), c, NULL, 'F6: no link with ' || a) FROM (VALUES
    (', ''{ADMIN}''', 'OU213'), (', ''{USER,ADMIN}''', 'OU213'), (', ''{BOSS}''', 'OU103'), (', ''{NULL}''', 'OU103'),
    (', most_uses => 0', 'OU009'), (', most_uses => NULL', 'OU009'), (', lifetime => NULL', 'OU009'), (', lifetime => ''0''', 'OU009'),
    (', lifetime => ''2 years''', 'OU009'), (', lifetime => ''-1 day''', 'OU009')) v (a, c);
SELECT as_owner($$UPDATE orgusers.role_templates SET by_default = false$$);
SELECT throws_ok(format('SELECT orgusers.create_join_link(%L)', :'acme'), 'OU213', NULL, 'F6: nor with no role');
SELECT as_owner($$UPDATE orgusers.role_templates SET by_default = true WHERE id = 'user'$$);
SELECT throws_ok(format('SELECT orgusers.create_join_link(%L)', :'other'), 'OU101', NULL, 'F6: not for another''s organization');
SELECT act('bob');
SELECT throws_ok(format(s, :'acme'), 'OU002', NULL, 'F6: joining.manage is needed: ' || s) FROM unnest(ARRAY[
    'SELECT orgusers.create_join_link(%L)', 'SELECT * FROM orgusers.list_join_links(%L)', 'SELECT orgusers.revoke_join_link(%L, gen_random_uuid())',
    'SELECT orgusers.claim_join_domain(%L, ''x.example'')', 'SELECT * FROM orgusers.list_join_domains(%L)', 'SELECT orgusers.drop_join_domain(%L, ''x.example'')']) s;
SELECT is((SELECT count(*)::int FROM orgusers.join_links), 0, 'F6: and to see the table');
SELECT as_owner($$DELETE FROM orgusers.role_template_grants WHERE grantable = 'user'$$);
SELECT act('ann');
SELECT throws_ok(format('SELECT orgusers.create_join_link(%L)', :'acme'), 'OU108', NULL, 'F6: nobody lets people join with what they may not give');
SELECT throws_ok(format('SELECT orgusers.claim_join_domain(%L, ''x.example'')', :'acme'), 'OU108', NULL, 'F6: nor by a domain');
SELECT as_owner($$INSERT INTO orgusers.role_template_grants VALUES ('plans_and_groups', 'admin', 'user')$$);

-- Joining
SELECT make_link('{USER}', 2) AS token \gset
SELECT act(NULL);
SELECT results_eq(format('SELECT org_id, organization, roles FROM orgusers.join_preview(%L)', :'token'),
    format('SELECT %L::uuid, ''Acme'', ''{USER}''::text[]', :'acme'), 'F6: whoever has a link sees where it leads');
SELECT throws_ok(format('SELECT orgusers.join_organization(%L)', :'token'), 'OU001', NULL, 'F6: but signs in to join');
SELECT act('una');
SELECT throws_ok(format('SELECT orgusers.join_organization(%L)', :'token'), 'OU207', NULL, 'F6: with a verified address');
SELECT act('cyd');
SELECT is(orgusers.join_organization(:'token'), :'acme'::uuid, 'F6: a person joins by a link');
SELECT is(roles_of('Acme', 'cyd'), 'USER', 'F6: and has its roles');
SELECT is((SELECT invited_by FROM orgusers.memberships WHERE user_id = person('cyd')), person('ann'), 'F6: invited by who made it');
SELECT is(uses(), 1, 'F6: it is counted');
SELECT is(orgusers.join_organization(:'token'), :'acme'::uuid, 'F6: again, the same answer');
SELECT act('ann');
SELECT is(orgusers.join_organization(:'token'), :'acme'::uuid, 'F6: for a user of other roles, too');
SELECT is(roles_of('Acme', 'ann'), 'ADMIN', 'F6: who gets none by that');
SELECT is(uses(), 1, 'F6: neither is counted');
SELECT act('dan');
SELECT is(orgusers.join_organization(:'token'), :'acme'::uuid, 'F6: the last use');
SELECT act('fay');
SELECT throws_ok(format('SELECT orgusers.join_organization(%L)', :'token'), 'OU214', NULL, 'F6: then it is over');
SELECT throws_ok(format('SELECT * FROM orgusers.join_preview(%L)', :'token'), 'OU214', NULL, 'F6: and shows nothing');
SELECT act('cyd');
SELECT is(orgusers.join_organization(:'token'), :'acme'::uuid, 'F6: who has joined by it gets the same answer still');
SELECT as_owner('UPDATE orgusers.join_links SET uses = 0, most_uses = 1 WHERE id = newest()');
SELECT throws_ok($$SELECT as_owner('UPDATE orgusers.join_links SET uses = 2 WHERE id = newest()')$$, '23514', NULL, 'F6: uses never exceed the limit');

-- What is no join link
SELECT act('fay');
SELECT as_owner($$SELECT orgusers.act_as(person('ann'))$$);
SELECT orgusers.invite_user(:'acme', 'fay@example.org', send => false) AS fays \gset
SELECT link_token(orgusers.invitation_link(:'acme', :'fays')) AS invitation \gset
SELECT make_link() AS join \gset
SELECT act('fay');
SELECT throws_ok(format('SELECT orgusers.%s(%L)', f, :'invitation'), 'OU203', NULL, 'F6: an invitation''s token opens no join link: ' || f) FROM unnest(ARRAY['join_preview', 'join_organization']) f;
SELECT throws_ok(format('SELECT orgusers.%s(%L)', f, :'join'), 'OU203', NULL, 'F6: nor a join link''s an invitation: ' || f) FROM unnest(ARRAY['preview_invitation', 'accept_invitation', 'decline_invitation']) f;
RESET ROLE;
SELECT orgusers.token_text(orgusers.new_invitation_token(:'acme')) AS made_up, orgusers.token_text(orgusers.new_invitation_token(gen_random_uuid())) AS nowhere \gset
SET LOCAL ROLE regress_ou_app;
SELECT throws_ok(format('SELECT orgusers.join_organization(%L)', t), 'OU203', NULL, 'F6: nor is anything else one') FROM unnest(ARRAY[:'made_up', :'nowhere', NULL]) t;
SELECT throws_ok($$SELECT orgusers.join_organization('oui_x')$$, 'OU202', NULL, 'F6: a typing error is told apart');
-- The pending invitation stays, with what it gives beyond.
SELECT is(orgusers.join_organization(:'join'), :'acme'::uuid, 'F6: an invited person joins by a link');
SELECT results_eq('SELECT id FROM orgusers.my_invitations()', format('SELECT %L::uuid', :'fays'), 'F6: the invitation waits, with its roles');
SELECT is(orgusers.accept_my_invitation(:'acme', :'fays'), :'acme'::uuid, 'F6: and can be accepted');

-- Revoked, expired, and the authority behind it
SELECT act('ann');
SELECT make_link() AS token \gset
SELECT throws_ok(format('SELECT orgusers.revoke_join_link(%L, %L)', :'acme', i), 'OU215', NULL, 'F6: no such link') FROM unnest(ARRAY[gen_random_uuid(), NULL, :'fays']) i;
SELECT lives_ok(format('SELECT orgusers.revoke_join_link(%L, newest())', :'acme'), 'F6: a link is revoked');
SELECT lives_ok(format('SELECT orgusers.revoke_join_link(%L, newest())', :'acme'), 'F6: twice');
SELECT is((SELECT status FROM orgusers.list_join_links(:'acme') LIMIT 1), 'revoked', 'F6: as the list says');
SELECT act('gus');
SELECT throws_ok(format('SELECT orgusers.join_organization(%L)', :'token'), 'OU214', NULL, 'F6: nobody joins by it');
SELECT act('ann');
SELECT make_link() AS token \gset
SELECT as_owner($$UPDATE orgusers.join_links SET expires_at = clock_timestamp() WHERE id = newest()$$);
SELECT is((SELECT status FROM orgusers.list_join_links(:'acme') LIMIT 1), 'expired', 'F6: a link expires by the clock');
SELECT act('gus');
SELECT throws_ok(format('SELECT orgusers.join_organization(%L)', :'token'), 'OU214', NULL, 'F6: within the transaction, too');
SELECT act('ann');
SELECT enlist('Acme', 'gus', 'ADMIN');
SELECT act('gus');
SELECT make_link() AS token \gset
SELECT as_owner(format('DELETE FROM orgusers.membership_roles WHERE user_id = %L', person('gus')));
SELECT act('una');
SELECT as_owner($$UPDATE orgusers.users SET email_verified_at = now() WHERE id = person('una')$$);
SELECT throws_ok(format('SELECT orgusers.join_organization(%L)', :'token'), 'OU210', NULL, 'F6: the link lives by the rights of who made it');
SELECT as_owner(format('DELETE FROM orgusers.memberships WHERE user_id = %L', person('gus')));
SELECT throws_ok(format('SELECT orgusers.join_organization(%L)', :'token'), 'OU210', NULL, 'F6: and ends with the membership');
SELECT act('ann');
SELECT make_link() AS token \gset
SELECT as_owner($$DELETE FROM orgusers.role_template_grants WHERE grantable = 'user'$$);
SELECT act('una');
SELECT throws_ok(format('SELECT orgusers.join_organization(%L)', :'token'), 'OU210', NULL, 'F6: also with the right to give the role');
SELECT as_owner($$INSERT INTO orgusers.role_template_grants VALUES ('plans_and_groups', 'admin', 'user')$$);
SELECT as_owner($$UPDATE orgusers.role_templates SET joinable = false$$);
SELECT throws_ok(format('SELECT orgusers.join_organization(%L)', :'token'), 'OU213', NULL, 'F6: and when the policy says so');
SELECT as_owner($$UPDATE orgusers.role_templates SET joinable = true WHERE id = 'user'$$);
SELECT as_owner('DELETE FROM orgusers.join_link_roles WHERE link_id = newest()');
SELECT throws_ok(format('SELECT orgusers.join_organization(%L)', :'token'), 'OU213', NULL, 'F6: a link whose roles are gone lets nobody in');

-- Deactivated, removed, declined, seats
SELECT act('ann');
SELECT make_link() AS token \gset
SELECT orgusers.deactivate_user(:'acme', person('cyd'));
SELECT act('cyd');
SELECT throws_ok(format('SELECT orgusers.join_organization(%L)', :'token'), 'OU110', NULL, 'F6: a link leads nobody around a deactivation');
SELECT act('ann');
SELECT orgusers.remove_user(:'acme', person('dan'));
SELECT act('dan');
SELECT is(orgusers.join_organization(:'token'), :'acme'::uuid, 'F6: who was removed can join again');
SELECT as_owner(format('UPDATE orgusers.plans SET seats = %s WHERE id = ''paid''', (SELECT count(*) FROM string_to_table(active('Acme'), ' '))));
SELECT act('una');
SELECT throws_ok(format('SELECT orgusers.join_organization(%L)', :'token'), 'OU301', NULL, 'F6: without a seat nobody joins');
SELECT is(uses(), 1, 'F6: and no use is counted');
SELECT as_owner('UPDATE orgusers.plans SET seats = NULL WHERE id = ''paid''');
SELECT as_owner('UPDATE orgusers.policies SET welcome_mail = true');
SELECT lives_ok(format('SELECT orgusers.join_organization(%L)', :'token'), 'F6: with one, the same person does');
SELECT is(mails('una'), 'welcome', 'F6: and is welcomed, if the policy says so');
SELECT as_owner('UPDATE orgusers.policies SET welcome_mail = false');
SELECT ok(orgusers.can(:'acme', 'organization.view'), 'F6: and has the rights at once');

-- Domains
SELECT act('ann');
SELECT orgusers.claim_join_domain(:'acme', 'Corp.Example', '{USER}') AS challenge \gset
SELECT matches(:'challenge'::text, '^orgusers-verification=[0-9a-f]{32}$', 'F6: claiming a domain gives a text for its TXT record');
SELECT results_eq(format('SELECT domain, roles, challenge, claimed_by, verified_at FROM orgusers.list_join_domains(%L)', :'acme'),
    format($$VALUES ('corp.example', '{USER}'::text[], %L, person('ann'), NULL::timestamptz)$$, :'challenge'), 'F6: it is listed, in lower case');
SELECT is(orgusers.claim_join_domain(:'acme', 'corp.example'), :'challenge', 'F6: claimed again, it keeps the text');
SELECT throws_ok(format('SELECT orgusers.claim_join_domain(%L, %L)', :'acme', d), 'OU106', NULL, 'F6: no domain: ' || coalesce(d, 'NULL'))
    FROM unnest(ARRAY[NULL, '', ' ', 'a b', 'x@corp.example', '.example', 'example.', '-x.example', 'bücher.example', E'a\nb.example', repeat('x', 300)]) d;
SELECT throws_ok(format('SELECT orgusers.claim_join_domain(%L, ''corp.example'', ''{ADMIN}'')', :'acme'), 'OU213', NULL, 'F6: ADMIN is not given by a domain');
SELECT as_owner($$SELECT orgusers.register_user(e::orgusers.email, n, email_verified => v) FROM (VALUES
    ('kim@CORP.example', 'Kim', true), ('lea@sub.corp.example', 'Lea', true), ('max@corp.example', 'Max', false), ('ned@corp.example', 'Ned', true)) u (e, n, v)$$);
SELECT act_corp('kim@corp.example');
SELECT is_empty('SELECT * FROM orgusers.my_join_offers()', 'F6: a claim that is not verified offers nothing');
SELECT throws_ok(format('SELECT orgusers.join_by_domain(%L)', :'acme'), 'OU215', NULL, 'F6: and lets nobody join');
SELECT throws_ok(format('SELECT orgusers.verify_join_domain(%L, ''corp.example'', %L)', :'acme', :'challenge'), '42501', NULL, 'F6: only the trusted server verifies');
SET LOCAL ROLE regress_ou_server;
SELECT throws_ok(format('SELECT orgusers.verify_join_domain(%L, %L, %L)', o, d, f), 'OU215', NULL, 'F6: not verified by another text, domain or organization')
    FROM (VALUES (:'acme', 'corp.example', 'x'), (:'acme', 'corp.example', NULL), (:'acme', 'sub.corp.example', :'challenge'), (:'other', 'corp.example', :'challenge'), (:'acme', NULL, :'challenge'), (NULL, 'corp.example', :'challenge')) v (o, d, f);
SELECT lives_ok(format('SELECT orgusers.verify_join_domain(%L, ''CORP.example'', %L)', :'acme', :'challenge'), 'F6: but by the text that was found');
SET LOCAL ROLE regress_ou_app;
SELECT results_eq('SELECT org_id, organization, domain, roles FROM orgusers.my_join_offers()',
    format($$VALUES (%L::uuid, 'Acme', 'corp.example', '{USER}'::text[])$$, :'acme'), 'F6: a person with a verified address in the domain sees the offer');
SELECT act_corp('lea@sub.corp.example');
SELECT is_empty('SELECT * FROM orgusers.my_join_offers()', 'F6: not so below the domain');
SELECT throws_ok(format('SELECT orgusers.join_by_domain(%L)', :'acme'), 'OU215', NULL, 'F6: who does not join');
SELECT act_corp('max@corp.example');
SELECT is_empty('SELECT * FROM orgusers.my_join_offers()', 'F6: nor with an address that is not verified');
SELECT throws_ok(format('SELECT orgusers.join_by_domain(%L)', :'acme'), 'OU207', NULL, 'F6: who is told why');
SELECT act(NULL);
SELECT is_empty('SELECT * FROM orgusers.my_join_offers()', 'F6: nor anonymously');
SELECT throws_ok(format('SELECT orgusers.join_by_domain(%L)', :'acme'), 'OU001', NULL, 'F6: as said');
SELECT act_corp('kim@corp.example');
SELECT throws_ok('SELECT orgusers.join_by_domain(NULL)', 'OU215', NULL, 'F6: nothing is no offer');
SELECT is(orgusers.join_by_domain(:'acme'), :'acme'::uuid, 'F6: a person joins by the domain');
SELECT ok(orgusers.can(:'acme', 'organization.view'), 'F6: and has the role');
SELECT is(orgusers.join_by_domain(:'acme'), :'acme'::uuid, 'F6: again, the same answer');
SELECT is_empty('SELECT * FROM orgusers.my_join_offers()', 'F6: then there is no offer');
SELECT as_owner($$SELECT orgusers.change_email(id, 'kim@elsewhere.example', true) FROM orgusers.users WHERE email = 'kim@corp.example'$$);
SELECT ok(orgusers.can(:'acme', 'organization.view'), 'F6: a later change of the address ends nothing');

-- The domain is the organization's, whoever claimed it; and two organizations can have one.
SELECT as_owner(format('SELECT orgusers.set_plan(%L, ''paid'', person(''bob''))', :'acme'));
SELECT enlist('Acme', 'eve', 'ADMIN');
SELECT act('eve');
SELECT orgusers.remove_user(:'acme', person('ann'));
SELECT orgusers.claim_join_domain(:'other', 'corp.example') AS others \gset
SELECT isnt(:'others'::text, :'challenge', 'F6: each organization has a text of its own');
SELECT act_corp('ned@corp.example');
SELECT results_eq('SELECT organization FROM orgusers.my_join_offers()', ARRAY['Acme'], 'F6: who has claimed a domain can leave; another''s claim alone offers nothing');
SET LOCAL ROLE regress_ou_server;
SELECT orgusers.verify_join_domain(:'other', 'corp.example', :'others');
SET LOCAL ROLE regress_ou_app;
SELECT results_eq('SELECT organization FROM orgusers.my_join_offers()', ARRAY['Acme', 'Other'], 'F6: of two organizations that have verified it the person chooses');
SELECT as_owner($$UPDATE orgusers.role_templates SET joinable = false$$);
SELECT throws_ok(format('SELECT orgusers.join_by_domain(%L)', :'acme'), 'OU213', NULL, 'F6: the policy is asked at each use');
SELECT is_empty('SELECT * FROM orgusers.my_join_offers()', 'F6: and nothing is offered against it');
SELECT as_owner($$UPDATE orgusers.role_templates SET joinable = true WHERE id = 'user'$$);
SELECT act('eve');
SELECT lives_ok(format('SELECT orgusers.drop_join_domain(%L, ''Corp.example'')', :'acme'), 'F6: a domain is given up');
SELECT throws_ok(format('SELECT orgusers.drop_join_domain(%L, ''corp.example'')', :'acme'), 'OU215', NULL, 'F6: once');
SELECT isnt(orgusers.claim_join_domain(:'acme', 'corp.example'), :'challenge', 'F6: claimed again, it needs another text');
SELECT act_corp('ned@corp.example');
SELECT throws_ok(format('SELECT orgusers.join_by_domain(%L)', :'acme'), 'OU215', NULL, 'F6: until then nobody joins');
SELECT is(orgusers.join_by_domain(:'other'), :'other'::uuid, 'F6: the other organization''s is as it was');
SELECT act('eve');
SELECT orgusers.deactivate_user(:'other', (SELECT id FROM orgusers.users WHERE email = 'ned@corp.example'));
SELECT act_corp('ned@corp.example');
SELECT throws_ok(format('SELECT orgusers.join_by_domain(%L)', :'other'), 'OU110', NULL, 'F6: a domain leads nobody around a deactivation');
SELECT is_empty('SELECT * FROM orgusers.my_join_offers()', 'F6: and no offer says so');

-- Free roles
RESET ROLE;
INSERT INTO orgusers.role_templates (policy, id, name, holds_seat, joinable) VALUES ('plans_and_groups', 'guest', 'GUEST', false, true);
INSERT INTO orgusers.role_template_grants VALUES ('plans_and_groups', 'admin', 'guest');
SELECT act('eve');
SELECT orgusers.create_organization('Third', 'plans_and_groups') AS third \gset
SET LOCAL ROLE regress_ou_app;
SELECT throws_ok(format('SELECT orgusers.create_join_link(%L, ''{USER,GUEST}'')', :'third'), 'OU113', NULL, 'F6: a link''s roles are of one kind');
SELECT throws_ok(format('SELECT orgusers.claim_join_domain(%L, ''x.example'', ''{USER,GUEST}'')', :'third'), 'OU113', NULL, 'F6: so are a domain''s');
SELECT make_link('{USER}', called => 'Third') AS seats, make_link('{GUEST}', called => 'Third') AS free \gset
SELECT act('bob'); SELECT orgusers.join_organization(:'seats');
SELECT act('cyd'); SELECT orgusers.join_organization(:'seats');
SELECT act('dan');
SELECT throws_ok(format('SELECT orgusers.join_organization(%L)', :'seats'), 'OU301', NULL, 'F6: on the free plan a fourth user does not join');
SELECT is(orgusers.join_organization(:'free'), :'third'::uuid, 'F6: but with a free role');

-- With the organization everything goes.
SELECT act('eve');
SELECT orgusers.delete_organization(:'third');
SELECT orgusers.delete_organization(:'other');
SELECT is_empty(format('SELECT FROM orgusers.join_links WHERE org_id = %L UNION ALL SELECT FROM orgusers.join_domains WHERE org_id = %L', :'third', :'other'), 'F6: links and domains go with the organization');

SELECT * FROM finish();
ROLLBACK;
