-- A user's life in an organization: how it begins, what the user is shown of it, and how it ends.
BEGIN;
\ir setup.psql
SELECT no_plan();

-- The rule-book hub: BOSS, who may do nearly everything and of whom there is one at least; CLERK, with areas of its own;
-- GUEST, in assigned spaces only; and base permissions.
DO $$
BEGIN
    PERFORM orgusers.register_permission('docs.read', 'Read documents', 'space');
    PERFORM orgusers.register_permission('docs.write', 'Write documents', 'space');
    PERFORM orgusers.register_permission('orders.read', 'Read orders');
    INSERT INTO orgusers.policies (id, title, default_plan, product_name, accept_url, mail_from, invitation_lifetime, welcome_mail)
        VALUES ('hub', 'Hub', 'free', 'The Hub', 'https://hub.example/i#{{token}}', 'hub@example.org', '1 day', true);
    INSERT INTO orgusers.base_permissions VALUES ('hub', 'organization.view');
    INSERT INTO orgusers.role_templates (policy, id, name, founder, by_default, least_holders, all_spaces) VALUES
        ('hub', 'boss', 'BOSS', true, false, 1, true), ('hub', 'clerk', 'CLERK', false, false, 0, true),
        ('hub', 'guest', 'GUEST', false, false, 0, false), ('hub', 'plain', 'PLAIN', false, true, 0, true);
    INSERT INTO orgusers.role_template_permissions
        SELECT 'hub', 'boss', key FROM orgusers.permissions
        UNION ALL VALUES ('hub', 'clerk', 'docs.read'), ('hub', 'clerk', 'orders.read'), ('hub', 'clerk', 'organization.view'), ('hub', 'guest', 'docs.read');
    INSERT INTO orgusers.role_template_grants SELECT 'hub', 'boss', id FROM orgusers.role_templates WHERE policy = 'hub';
    PERFORM orgusers.install_mail_templates('hub');
    UPDATE orgusers.plans SET seats = NULL WHERE id = 'free';
    UPDATE orgusers.users SET locale = 'de-AT' WHERE id = person('bob');
END $$;

-- The latest mail of an address, as text with its values.
CREATE FUNCTION letter(who text) RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    mail orgusers.mail_outbox;
    text text;
    v    record;
BEGIN
    SELECT * INTO STRICT mail FROM orgusers.mail_outbox m WHERE m.recipient = (who || '@example.org')::orgusers.email ORDER BY m.created_at DESC, m.id DESC LIMIT 1;
    SELECT t.subject || E'\n' || t.body_text INTO STRICT text FROM orgusers.mail_templates t
        WHERE t.policy = mail.policy AND t.kind = mail.kind AND t.locale IN (split_part(mail.locale, '-', 1));
    FOR v IN SELECT * FROM jsonb_each_text(mail.variables) LOOP
        text := replace(text, '{{' || v.key || '}}', v.value);
    END LOOP;
    RETURN text;
END $$;

SET LOCAL ROLE regress_ou_server;
SELECT act('ann');
SELECT isnt(orgusers.create_organization('Hub One', 'hub', external_id => '4711'), NULL, 'E6: an organization with a customer number');
SELECT orgusers.create_organization('Hub Two', 'hub') \g /dev/null
SELECT results_eq('SELECT name, external_id FROM orgusers.my_organizations()', $$VALUES ('Hub One', '4711'), ('Hub Two', NULL)$$, 'E6: which its users see');
SELECT throws_ok($$SELECT orgusers.create_organization('X', 'hub', external_id => E'a\nb')$$, 'OU106', NULL, 'E6: one line');
SELECT throws_ok($$SELECT orgusers.set_external_id(gen_random_uuid(), '1')$$, 'OU101', NULL, 'E6: of an organization that exists');
SELECT lives_ok($$SELECT orgusers.set_external_id(org('Hub Two'), '4712')$$, 'E6: the server sets it');
SELECT lives_ok($$SELECT orgusers.set_external_id(org('Hub Two'), NULL)$$, 'E6: and takes it away');
SET LOCAL ROLE regress_ou_app;
SELECT throws_ok($$SELECT orgusers.set_external_id(org('Hub Two'), '4712')$$, '42501', NULL, 'E6: the application does not');
SELECT throws_ok($$SELECT orgusers.register_and_accept(NULL, NULL)$$, '42501', NULL, 'E7: nor makes accounts');
SELECT throws_ok($$SELECT orgusers.welcome(org('Hub One'), person('bob'))$$, '42501', NULL, 'E10: nor welcomes');

-- E10: the founder is welcomed, once under the policy
SELECT is(mails('ann'), 'welcome', 'E10: who founds an organization is welcomed, with the first one only');

-- E6: the invitation
SELECT lives_ok($$SELECT orgusers.invite_user(org('Hub One'), 'bob@example.org', '{PLAIN,GUEST}')$$, 'E6: an invitation');
SELECT lives_ok($$SELECT orgusers.invite_user(org('Hub One'), 'new@example.org', '{CLERK}', first_name => 'Nea', last_name => 'Wu', locale => 'de')$$, 'E6: and one in German');
SELECT matches(letter('bob'), '^Ann invites you to join Hub One in The Hub\n', 'E6: the subject names inviter, company and product');
SELECT matches(letter('bob'), '\nOrganization: Hub One \(4711\)\nAccess to: The Hub\nRoles: GUEST, PLAIN\n', 'E6: the mail names customer id, company and what the access is to');
SELECT matches(letter('new'), '\nOrganisation: Hub One \(4711\)\nZugang zu: The Hub\nRollen: CLERK\n', 'E6: in German, too');
SELECT orgusers.invite_user(org('Hub Two'), 'gus@example.org') \g /dev/null
SELECT matches(letter('gus'), '\nOrganization: Hub Two\nAccess to: The Hub\nRoles: PLAIN\n', 'E6: without a customer id, the company alone');

-- E7: accepting with an account
SELECT act('bob');
SELECT is((SELECT orgusers.accept_my_invitation(org_id, id) FROM orgusers.my_invitations()), org('Hub One'), 'E7: who has an account accepts with it');
SELECT is(mails('bob'), 'invitation welcome', 'E10: and is welcomed');
SELECT matches(letter('bob'), '^Willkommen bei The Hub\nGuten Tag Bob,\n\nwillkommen bei The Hub\. Sie gehören jetzt zu Hub One \(4711\)\.', 'E10: in the own language');
SELECT act('ann');
SELECT orgusers.invite_user(org('Hub Two'), 'bob@example.org') \g /dev/null
SELECT act('bob');
SELECT lives_ok($$SELECT orgusers.accept_my_invitation(org_id, id) FROM orgusers.my_invitations()$$, 'E10: a second organization');
SELECT is(mails('bob'), 'invitation welcome invitation', 'E10: welcomes nobody twice');
-- A rule-book without the switch; who was a user before it was switched on.
RESET ROLE;
SELECT act('eve');
SELECT orgusers.create_organization('Old', 'plans_and_groups') \g /dev/null
SELECT is(mails('eve'), '', 'E10: no welcome where the policy has none');
UPDATE orgusers.policies SET welcome_mail = true WHERE id = 'plans_and_groups';
SELECT orgusers.create_organization('Old Two', 'plans_and_groups') \g /dev/null
SELECT is(mails('eve'), '', 'E10: nor for who was a user under it before');
SELECT act('fay');
SELECT orgusers.create_organization('Old Three', 'plans_and_groups') \g /dev/null
SELECT is(mails('fay'), 'welcome', 'E10: but for whoever comes now');

-- E7: an account made in the same step
SET LOCAL ROLE regress_ou_server;
SELECT act('ann');
SELECT orgusers.invitation_link(org('Hub One'), inv('Hub One', 'new')) AS link \gset
SELECT mail_token('Hub One', 'new') AS token \gset
SELECT throws_ok(format($$SELECT * FROM orgusers.register_and_accept(%L, %s)$$, t, e), c, NULL, 'E7: refused: ' || why) FROM (VALUES
    (:'token', '''gus@example.org''', 'OU206', 'another address'), (:'token', 'NULL', 'OU201', 'no address'),
    (link_token(:'link'), '''new@example.org''', 'OU207', 'a link that an administrator has copied')) v (t, e, c, why);
SELECT throws_ok($$SELECT * FROM orgusers.register_and_accept('oui_x', 'new@example.org')$$, 'OU202', NULL, 'E7: refused: no token');
SELECT throws_ok(format($$SELECT * FROM orgusers.register_and_accept(%L, 'new@example.org', E'\t')$$, :'token'), 'OU106', NULL, 'E7: refused: a bad name');
SELECT is(person('new'), NULL, 'E7: and nobody is registered');
SELECT is(orgusers.current_user_id(), person('ann'), 'E7: nor is the session anybody else''s');
CREATE TEMP TABLE made AS SELECT * FROM orgusers.register_and_accept(:'token', 'NEW@example.org', id => '018f0000-0000-7000-8000-0000000000aa');
SELECT results_eq('SELECT * FROM made', $$SELECT person('new'), org('Hub One')$$, 'E7: who has no account gets it and accepts in one step');
SELECT is(person('new'), '018f0000-0000-7000-8000-0000000000aa', 'E7: with the id that the server chose');
SELECT is(orgusers.current_user_id(), person('ann'), 'E7: the session is whose it was');
RESET ROLE;
SELECT results_eq($$SELECT display_name, locale, email_verified_at IS NOT NULL FROM orgusers.users WHERE id = person('new')$$, $$VALUES ('Nea Wu', 'de', true)$$,
    'E7: name and language are the invitation''s, and the address is proven');
SELECT is(roles_of('Hub One', 'new'), 'CLERK', 'E7: with the invitation''s roles');
SELECT is(mails('new'), 'invitation welcome', 'E10: a newly registered user is welcomed');
SELECT matches(letter('new'), '^Willkommen', 'E10: in the language of the invitation');
SELECT throws_ok(format($$SELECT * FROM orgusers.register_and_accept(%L, 'new@example.org')$$, :'token'), 'OU205', NULL, 'E7: once');
SELECT act('ann');
SELECT orgusers.invite_user(org('Hub One'), 'gus@example.org'), orgusers.invite_user(org('Hub One'), 'late@example.org'), orgusers.invite_user(org('Hub One'), 'no@example.org') \g /dev/null
SELECT mail_token('Hub One', 'gus') AS gus, mail_token('Hub One', 'late') AS late, mail_token('Hub One', 'no') AS no \gset
SELECT throws_ok(format($$SELECT * FROM orgusers.register_and_accept(%L, 'gus@example.org')$$, :'gus'), 'OU107', 'there is a user with this address', 'E7: who has an account is told to sign in');
UPDATE orgusers.invitations SET expires_at = now() - interval '1 s' WHERE id = inv('Hub One', 'late');
SELECT throws_ok(format($$SELECT * FROM orgusers.register_and_accept(%L, 'late@example.org')$$, :'late'), 'OU204', NULL, 'E7: an expired invitation makes no account');
SELECT orgusers.cancel_invitation(org('Hub One'), inv('Hub One', 'no')) \g /dev/null
SELECT throws_ok(format($$SELECT * FROM orgusers.register_and_accept(%L, 'no@example.org')$$, :'no'), 'OU205', NULL, 'E7: nor does a canceled one');
SELECT is((SELECT count(*)::int FROM orgusers.users WHERE email IN ('late@example.org', 'no@example.org')), 0, 'E7: nobody is registered');
-- Anonymously, as sign-up pages are
SELECT act(NULL);
UPDATE orgusers.invitations SET expires_at = now() + interval '1 day' WHERE id = inv('Hub One', 'late');
SET LOCAL ROLE regress_ou_server;
SELECT is((SELECT org_id FROM orgusers.register_and_accept(:'late', 'late@example.org', 'Late', 'en')), org('Hub One'), 'E7: an anonymous session does it');
SELECT is(orgusers.current_user_id(), NULL, 'E7: and stays anonymous');

-- E8: the banner
SET LOCAL ROLE regress_ou_app;
SELECT is(orgusers.access_state(org('Hub One')), 'none', 'E8: an anonymous session has no access');
SELECT act('late');
SELECT is(orgusers.access_state(org('Hub One')), 'restricted', 'E8: a user without any rights has restricted access');
SELECT is(orgusers.can(org('Hub One'), 'organization.view'), true, 'E8: a small base set of permissions');
SELECT is(orgusers.can(org('Hub One'), 'docs.read'), false, 'E8: and nothing else');
SELECT act('ann');
SELECT is(orgusers.access_state(org('Hub One')), 'full', 'E8: an administrator has full access');
SELECT orgusers.set_user_roles(org('Hub One'), person('late'), '{CLERK}') \g /dev/null
SELECT act('late');
SELECT is(orgusers.access_state(org('Hub One')), 'full', 'E8: once rights are given, the banner disappears');
SELECT act('ann');
SELECT orgusers.set_user_roles(org('Hub One'), person('late'), '{}') \g /dev/null
SELECT act('late');
SELECT is(orgusers.access_state(org('Hub One')), 'restricted', 'E8: it comes back when they are taken');
SELECT act('ann');
SELECT orgusers.set_user_permissions(org('Hub One'), person('late'), '{organization.view}') \g /dev/null
SELECT act('late');
SELECT is(orgusers.access_state(org('Hub One')), 'restricted', 'E8: what everybody may is no more when it is given again');
SELECT act('ann');
SELECT orgusers.set_user_permissions(org('Hub One'), person('late'), '{orders.read}') \g /dev/null
SELECT act('late');
SELECT is(orgusers.access_state(org('Hub One')), 'full', 'E8: a single permission is enough');
SELECT act('ann');
SELECT orgusers.set_user_permissions(org('Hub One'), person('late'), '{}'), orgusers.create_group(org('Hub One'), 'clerks', '{CLERK}'),
       orgusers.set_user_groups(org('Hub One'), person('late'), '{clerks}') \g /dev/null
SELECT act('late');
SELECT is(orgusers.access_state(org('Hub One')), 'full', 'E8: and so is a group''s role');
SELECT act('ann');
SELECT orgusers.deactivate_user(org('Hub One'), person('late')) \g /dev/null
SELECT act('late');
SELECT is(orgusers.access_state(org('Hub One')), 'none', 'E8: deactivated, a user has none');
SELECT act('gus');
SELECT is(orgusers.access_state(org('Hub One')), 'none', 'E8: nor has an outsider');
SELECT is(orgusers.access_state(gen_random_uuid()), 'none', 'E8: nor anybody where there is nothing');
SELECT is(orgusers.access_state(NULL), 'none', 'E8: nor in NULL');

-- C4: bob is a GUEST. Without the base he has nothing before a space is assigned.
RESET ROLE;
DELETE FROM orgusers.base_permissions;
SET LOCAL ROLE regress_ou_app;
SELECT act('bob');
SELECT is(orgusers.access_state(org('Hub One')), 'none', 'C4: no access before a space is assigned');
SELECT act('ann');
SELECT orgusers.create_space(org('Hub One'), 'case'), orgusers.create_space(org('Hub One'), 'other'), orgusers.set_user_spaces(org('Hub One'), person('bob'), '{case}') \g /dev/null
SELECT act('bob');
SELECT is(orgusers.access_state(org('Hub One')), 'full', 'C4: then there is');
RESET ROLE;
INSERT INTO orgusers.base_permissions VALUES ('hub', 'organization.view');
SET LOCAL ROLE regress_ou_app;

-- E9: new areas, once
SELECT results_eq($$SELECT orgusers.new_areas(org('Hub One'))$$, $$VALUES ('{docs}'::text[])$$, 'E9: an area in which one has rights is new');
SELECT results_eq($$SELECT orgusers.new_areas(org('Hub One'))$$, $$VALUES ('{}'::text[])$$, 'E9: once');
SELECT is(orgusers.new_areas(org('Hub Two')), '{}', 'E9: what all users may do is not');
SELECT act('ann');
SELECT orgusers.set_user_roles(org('Hub One'), person('bob'), '{CLERK,GUEST}') \g /dev/null
SELECT act('bob');
SELECT is(orgusers.new_areas(org('Hub One')), '{orders}', 'E9: rights that come later bring what was not reported');
SELECT act('ann');
SELECT orgusers.set_user_roles(org('Hub One'), person('bob'), '{GUEST}'), orgusers.set_user_roles(org('Hub One'), person('bob'), '{CLERK}') \g /dev/null
SELECT act('bob');
SELECT is(orgusers.new_areas(org('Hub One')), '{}', 'E9: taken and given again, an area is not new');
SELECT ok(orgusers.new_areas(org('Hub One')) = '{}' AND 'users' = ANY (a.areas), 'E9: each user is told by himself') FROM (SELECT act('ann')) x, LATERAL (SELECT orgusers.new_areas(org('Hub One')) AS areas OFFSET 0) a;
SELECT act('gus');
SELECT is(orgusers.new_areas(org('Hub One')), '{}', 'E9: an outsider learns nothing');
SELECT is(orgusers.new_areas(gen_random_uuid()), '{}', 'E9: whether or not it exists');
SELECT act(NULL);
SELECT throws_ok($$SELECT orgusers.new_areas(org('Hub One'))$$, 'OU001', NULL, 'E9: an anonymous session is refused');

-- B6: last activity
SELECT throws_ok($$SELECT orgusers.record_activity(org('Hub One'))$$, 'OU001', NULL, 'B6: nobody''s activity is not noted');
SELECT act('gus');
SELECT lives_ok($$SELECT orgusers.record_activity(org('Hub One'))$$, 'B6: an outsider''s neither');
SELECT act('late');
SELECT lives_ok($$SELECT orgusers.record_activity(org('Hub One'))$$, 'B6: nor a deactivated user''s');
SELECT act('bob');
SELECT lives_ok($$SELECT orgusers.record_activity(org('Hub One'))$$, 'B6: a user''s is');
RESET ROLE;
SELECT results_eq('SELECT user_id FROM orgusers.last_activity', $$SELECT person('bob')$$, 'B6: only');
CREATE FUNCTION writes(statement text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    before text := (SELECT string_agg(ctid::text || xmin || at, ' ') FROM orgusers.last_activity);
BEGIN
    EXECUTE statement;
    RETURN before IS DISTINCT FROM (SELECT string_agg(ctid::text || xmin || at, ' ') FROM orgusers.last_activity);
END $$;
SELECT is(writes($$SELECT orgusers.record_activity(org('Hub One'))$$), false, 'B6: a second call writes nothing');
UPDATE orgusers.last_activity SET at = clock_timestamp() - interval '299 s';
SELECT is(writes($$SELECT orgusers.record_activity(org('Hub One'))$$), false, 'B6: nor one within the interval');
UPDATE orgusers.last_activity SET at = clock_timestamp() - interval '301 s';
SELECT is(writes($$SELECT orgusers.record_activity(org('Hub One'))$$), true, 'B6: after it, it does');
UPDATE orgusers.policies SET activity_interval = '0' WHERE id = 'hub';
SELECT is(writes($$SELECT orgusers.record_activity(org('Hub One'))$$), true, 'B6: the interval is the policy''s');
SELECT throws_ok($$UPDATE orgusers.policies SET activity_interval = '-1 s'$$, '23514', NULL, 'B6: and none of the future');

-- B6, C5, D1: the list
SET LOCAL ROLE regress_ou_app;
SELECT act('ann');
SELECT orgusers.record_activity(org('Hub One')) \g /dev/null
CREATE TEMP TABLE before_list AS SELECT clock_timestamp() AS at;
SELECT orgusers.update_profile(avatar_url => 'https://example.org/ann.png') \g /dev/null
SELECT results_eq($$SELECT email::text, display_name, avatar_url, roles, groups, spaces, status, last_active_at BETWEEN now() AND (SELECT at FROM before_list), user_id = person(split_part(email::text, '@', 1)) FROM orgusers.list_users(org('Hub One'))$$,
    $$VALUES ('ann@example.org', 'Ann', 'https://example.org/ann.png', '{BOSS}'::text[], '{}'::text[], '{}'::text[], 'active', true, true),
             ('bob@example.org', 'Bob', NULL, '{CLERK}', '{}', '{case}', 'active', true, true),
             ('late@example.org', 'Late', NULL, '{}', '{clerks}', '{}', 'deactivated', NULL, true),
             ('new@example.org', 'Nea Wu', NULL, '{CLERK}', '{}', '{}', 'active', NULL, true)$$, 'B6: avatar, name, role, address and last activity of everybody; C5: active and inactive');
SELECT results_eq($$SELECT email::text FROM orgusers.list_users(org('Hub One'), statuses => '{deactivated}')$$, ARRAY['late@example.org'], 'C5: the inactive alone');
SELECT results_eq($$SELECT email::text FROM orgusers.list_users(org('Hub One'), 'E', statuses => '{active}')$$, ARRAY['ann@example.org', 'bob@example.org', 'new@example.org'], 'C5: the active, searched');
SELECT throws_ok($$SELECT orgusers.list_users(org('Hub One'), statuses => '{active,gone}')$$, 'OU009', NULL, 'C5: no other status');
RESET ROLE;
-- gus is invited; cyd has declined; dan declined and is invited again; eve's is expired; fay's is canceled.
DO $$
DECLARE
    who text;
BEGIN
    FOREACH who IN ARRAY ARRAY['cyd', 'dan', 'eve', 'fay'] LOOP
        PERFORM orgusers.invite_user(org('Hub One'), (who || '@example.org')::orgusers.email, '{CLERK}', '{clerks}', first_name => initcap(who), send => false);
    END LOOP;
    PERFORM orgusers.cancel_invitation(org('Hub One'), inv('Hub One', 'fay'));
    FOREACH who IN ARRAY ARRAY['cyd', 'dan'] LOOP
        PERFORM act(who);
        PERFORM orgusers.decline_my_invitation(org_id, id) FROM orgusers.my_invitations();
    END LOOP;
    PERFORM act('ann');
    PERFORM orgusers.invite_user(org('Hub One'), 'dan@example.org', send => false);
    UPDATE orgusers.invitations SET expires_at = now() - interval '1 day' WHERE id = inv('Hub One', 'eve');
END $$;
SET LOCAL ROLE regress_ou_app;
SELECT results_eq($$SELECT email::text, display_name, roles, groups, status FROM orgusers.list_users(org('Hub One'), statuses => '{pending,expired,declined}')$$,
    $$VALUES ('cyd@example.org', 'Cyd', '{CLERK}'::text[], '{clerks}'::text[], 'declined'), ('dan@example.org', NULL, '{PLAIN}', '{}', 'pending'),
             ('eve@example.org', 'Eve', '{CLERK}', '{clerks}', 'expired'), ('gus@example.org', NULL, '{PLAIN}', '{}', 'pending')$$,
    'B6: an unaccepted invitation is pending; D1: or declined, with its role; E5: or expired');
SELECT results_eq($$SELECT email::text || ' ' || status FROM orgusers.list_users(org('Hub One'), statuses => '{active,pending,declined,deactivated,expired}')$$,
    ARRAY['ann@example.org active', 'bob@example.org active', 'cyd@example.org declined', 'dan@example.org pending', 'eve@example.org expired', 'gus@example.org pending',
          'late@example.org deactivated', 'new@example.org active'], 'D1: all in one list, each address once');
SELECT is_empty($$SELECT * FROM orgusers.list_users(org('Hub One'), statuses => '{pending}') WHERE user_id IS NOT NULL OR invitation_id <> inv('Hub One', split_part(email::text, '@', 1)) OR is_billing_admin OR joined_at IS NOT NULL OR last_active_at IS NOT NULL$$,
    'B6: who is invited is no user yet');
SELECT results_eq($$SELECT email::text FROM orgusers.list_users(org('Hub One'), 'CYD', statuses => '{active,declined}')$$, ARRAY['cyd@example.org'], 'B6: the search finds who is invited');
-- Page after page, of every size, gives the same.
CREATE FUNCTION pg_temp.by_pages(size int) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    addresses text[] := '{}';
    one_page  text[];
BEGIN
    LOOP
        one_page := ARRAY(SELECT email::text FROM orgusers.list_users(org('Hub One'), NULL, addresses[cardinality(addresses)]::orgusers.email, size, '{active,deactivated,pending,expired,declined}'));
        IF cardinality(one_page) = 0 THEN
            RETURN addresses;
        END IF;
        addresses := addresses || one_page;
    END LOOP;
END $$;
SELECT is(pg_temp.by_pages(n), pg_temp.by_pages(1000), 'B6: by pages of ' || n) FROM generate_series(1, 9) n;
SELECT is(cardinality(pg_temp.by_pages(3)), 8, 'B6: everybody');
SELECT act('bob');
SELECT throws_ok($$SELECT orgusers.list_users(org('Hub One'), statuses => '{pending}')$$, 'OU002', NULL, 'B6: for who may see users only');
-- Names of spaces are for who may see spaces.
RESET ROLE;
INSERT INTO orgusers.membership_permissions VALUES (org('Hub One'), person('new'), 'users.view');
SET LOCAL ROLE regress_ou_app;
SELECT act('new');
SELECT is((SELECT spaces FROM orgusers.list_users(org('Hub One'), 'bob')), '{}', 'B6: who may see users, but no spaces, is not told of them');

-- B8: nobody deletes themselves where the policy forbids it
SELECT act('ann');
SELECT orgusers.set_user_roles(org('Hub One'), person('bob'), '{BOSS}') \g /dev/null
SELECT throws_ok($$SELECT orgusers.remove_user(org('Hub One'), person('ann'))$$, 'OU109', NULL, 'B8: by removing oneself');
SELECT throws_ok($$SELECT orgusers.deactivate_user(org('Hub One'), person('ann'))$$, 'OU109', NULL, 'B8: nor by deactivating oneself');
RESET ROLE;
UPDATE orgusers.policies SET leaving = false WHERE id = 'hub';
SET LOCAL ROLE regress_ou_app;
SELECT results_eq($$SELECT refused, confirmation FROM orgusers.preview_leaving(org('Hub One'))$$, $$VALUES ('OU109', NULL::text)$$, 'B8: nor by leaving, as the preview says');
SELECT throws_ok($$SELECT orgusers.leave_organization(org('Hub One'), NULL)$$, 'OU109', NULL, 'B8: which is refused');
RESET ROLE;
UPDATE orgusers.policies SET leaving = true WHERE id = 'hub';
SET LOCAL ROLE regress_ou_app;

-- B8: removing oneself where the policy allows it
RESET ROLE;
UPDATE orgusers.policies SET self_removal = true WHERE id = 'hub';
SAVEPOINT s;
SELECT lives_ok($$SELECT orgusers.remove_user(org('Hub One'), person('ann'))$$, 'B8: where the policy allows it, one removes oneself');
SELECT is(mails('bob'), 'invitation welcome invitation user_left', 'E13: the other administrators get mail of that, too');
ROLLBACK TO s;
UPDATE orgusers.policies SET self_removal = false WHERE id = 'hub';
SET LOCAL ROLE regress_ou_app;

-- E11: leaving in two steps
SELECT act('bob');
SELECT results_eq($$SELECT organization, roles, groups, spaces, remaining_count, refused, confirmation IS NOT NULL FROM orgusers.preview_leaving(org('Hub One'))$$,
    $$VALUES ('Hub One', '{BOSS}'::text[], '{}'::text[], '{case}'::text[], 1, NULL::text, true)$$, 'E11: the first step says what it would do');
SELECT is((SELECT confirmation FROM orgusers.preview_leaving(org('Hub One'))), (SELECT confirmation FROM orgusers.preview_leaving(org('Hub One'))), 'E11: the same as long as nothing changes');
SELECT is(active('Hub One'), 'ann bob new', 'E11: and changes nothing');
SELECT confirmation AS confirmation FROM orgusers.preview_leaving(org('Hub One')) \gset
SELECT confirmation AS other_org FROM orgusers.preview_leaving(org('Hub Two')) \gset
SELECT act('ann');
SELECT confirmation AS other_user FROM orgusers.preview_leaving(org('Hub One')) \gset
SELECT act('bob');
SELECT throws_ok(format($$SELECT * FROM orgusers.leave_organization(org('Hub One'), %L)$$, c), 'OU116', NULL, 'E11: no confirmation: ' || why)
    FROM (VALUES (NULL, 'none'), ('', 'an empty one'), ('yes', 'a word'), (:'other_org', 'of another organization'), (:'other_user', 'of another user')) v (c, why);
-- What was shown has changed.
RESET ROLE;
CREATE FUNCTION outdated(statement text) RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    confirmation text := (SELECT p.confirmation FROM orgusers.preview_leaving(org('Hub One')) p);
BEGIN
    BEGIN
        EXECUTE statement;
        PERFORM act('bob');
        PERFORM orgusers.leave_organization(org('Hub One'), confirmation);
        RETURN 'left';
    EXCEPTION WHEN OTHERS THEN
        RETURN SQLSTATE;
    END;
END $$;
SET LOCAL ROLE regress_ou_app;
SELECT is(outdated(s), 'OU116', 'E11: outdated by ' || s) FROM unnest(ARRAY[
    $$INSERT INTO orgusers.membership_roles SELECT org_id, person('bob'), id FROM orgusers.roles WHERE org_id = org('Hub One') AND name = 'CLERK'$$,
    $$INSERT INTO orgusers.group_members SELECT org_id, id, person('bob') FROM orgusers.groups$$,
    $$DELETE FROM orgusers.space_members$$,
    $$DELETE FROM orgusers.memberships WHERE org_id = org('Hub Two') AND user_id = person('bob')$$,
    $$UPDATE orgusers.organizations SET name = 'Hub 1' WHERE name = 'Hub Two'; UPDATE orgusers.memberships SET joined_at = joined_at - interval '1 s' WHERE user_id = person('bob')$$]) s;
SELECT is(outdated($$SELECT set_config('TimeZone', 'Asia/Tokyo', true), set_config('DateStyle', 'German', true)$$), 'left', 'E11: not by the session''s settings');
SELECT orgusers.record_activity(org('Hub One')) \g /dev/null
SELECT is(active('Hub One'), 'ann new', 'E12: access ends');
SELECT orgusers.can(org('Hub One'), 'organization.view') AS can \gset
SELECT is(:'can'::boolean, false, 'E12: at once');
SELECT is(orgusers.access_state(org('Hub One')), 'none', 'E12: all of it');
SELECT throws_ok($$SELECT orgusers.list_users(org('Hub One'))$$, 'OU101', NULL, 'E12: to an outsider');
SELECT throws_ok($$SELECT orgusers.preview_leaving(org('Hub One'))$$, 'OU101', NULL, 'E12: nobody leaves twice');
SELECT throws_ok($$SELECT orgusers.leave_organization(org('Hub One'), 'x')$$, 'OU101', NULL, 'E12: whatever the confirmation');
SELECT throws_ok($$SELECT orgusers.preview_leaving(gen_random_uuid())$$, 'OU101', NULL, 'E12: whether it exists or not');
SELECT is_empty($$SELECT * FROM orgusers.my_invitations()$$, 'E12: the invitation of then lets nobody in again');
RESET ROLE;
SELECT is_empty($$SELECT user_id FROM orgusers.last_activity WHERE org_id = org('Hub One') AND user_id = person('bob') UNION ALL SELECT user_id FROM orgusers.seen_areas WHERE user_id = person('bob')$$,
    'E12: and nothing that was noted is left');
-- E13
SELECT is(mails('ann'), 'welcome invitation_declined invitation_declined user_left', 'E13: the administrators get mail');
SELECT matches(letter('ann'), '^Bob has left Hub One\nHello Ann,\n\nBob has given up the access to Hub One \(4711\) in The Hub', 'E13: which says who and where');
SELECT is(mails('new'), 'invitation welcome', 'E13: other users do not');
SELECT is(mails('bob'), 'invitation welcome invitation', 'E13: nor who has left');

-- E11, B2: who must stay
SET LOCAL ROLE regress_ou_app;
SELECT act('ann');
SELECT results_eq($$SELECT refused, reason, confirmation FROM orgusers.preview_leaving(org('Hub One'))$$, $$VALUES ('OU303', 'the role "BOSS" would be left with too few users', NULL::text)$$, 'B2: the last BOSS is told in advance');
SELECT throws_ok($$SELECT orgusers.leave_organization(org('Hub One'), NULL)$$, 'OU303', NULL, 'B2: and does not leave');
SELECT act('new');
SELECT lives_ok($$SELECT l.* FROM orgusers.preview_leaving(org('Hub One')) p, orgusers.leave_organization(org('Hub One'), p.confirmation) l$$, 'E11: a CLERK does');
SELECT results_eq('SELECT count(*)::int FROM orgusers.my_organizations()', ARRAY[0], 'E12: and has none left');

-- A deactivated BOSS is no holder, and may go, too.
SELECT act('late');
SELECT results_eq($$SELECT l.* FROM orgusers.preview_leaving(org('Hub One')) p, orgusers.leave_organization(org('Hub One'), p.confirmation) l$$,
    $$VALUES ('none', 0, NULL::uuid)$$, 'E11: a deactivated user leaves, too');

-- The billing admin
RESET ROLE;
SELECT enlist('Hub One', 'gus', 'BOSS');
SELECT orgusers.set_plan(org('Hub One'), 'paid', person('gus')) \g /dev/null
SET LOCAL ROLE regress_ou_app;
SELECT act('gus');
SELECT results_eq($$SELECT refused, hint FROM orgusers.preview_leaving(org('Hub One'))$$, $$VALUES ('OU302', 'Choose another billing admin first, with set_billing_admin().')$$, 'A3: the billing admin is told in advance');
SELECT throws_ok($$SELECT orgusers.leave_organization(org('Hub One'), NULL)$$, 'OU302', NULL, 'A3: and stays');

-- E12: several, one or no organizations remain
SELECT act('ann');
SELECT orgusers.invite_user(org('Hub One'), 'bob@example.org'), orgusers.create_my_organization('Hub Three', 'hub') \g /dev/null
RESET ROLE;
SELECT enlist('Hub Three', 'bob', 'PLAIN');
SET LOCAL ROLE regress_ou_app;
SELECT act('bob');
SELECT orgusers.accept_my_invitation(org_id, id) FROM orgusers.my_invitations() \g /dev/null
SELECT is(mails('bob'), 'invitation welcome invitation invitation', 'E10: who comes back is not welcomed again');
SELECT orgusers.switch_organization(org('Hub Three')) \g /dev/null
CREATE FUNCTION pg_temp.leave(called text) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', l.remaining, l.remaining_count, (SELECT o.name FROM orgusers.my_organizations() o WHERE o.org_id = l.next_org_id))
    FROM orgusers.preview_leaving(org(called)) p, LATERAL (SELECT * FROM orgusers.leave_organization(org(called), p.confirmation) OFFSET 0) l $$;
SELECT is(pg_temp.leave('Hub One'), 'several 2 Hub Three', 'E12: several remain, and the one chosen last is next');
RESET ROLE;
UPDATE orgusers.memberships SET status = 'deactivated', deactivated_at = now() WHERE org_id = org('Hub Two') AND user_id = person('bob');
UPDATE orgusers.memberships SET status = 'active', deactivated_at = NULL WHERE org_id = org('Hub Two') AND user_id = person('bob');
SET LOCAL ROLE regress_ou_app;
SELECT is(pg_temp.leave('Hub Three'), 'one 1 Hub Two', 'E12: one remains, and is next');
SELECT is(pg_temp.leave('Hub Two'), 'none 0', 'E12: none remains');

-- E12: then nothing but the own profile can be reached, by any table or function.
SELECT orgusers.update_profile(locale => 'de-CH') \g /dev/null
SELECT results_eq('SELECT email::text, locale FROM orgusers.my_profile()', $$VALUES ('bob@example.org', 'de-CH')$$, 'E12: the profile is the user''s, with its language');
CREATE FUNCTION pg_temp.seen(t regclass) RETURNS int LANGUAGE plpgsql AS $$
DECLARE n int; BEGIN EXECUTE format('SELECT count(*) FROM %s', t) INTO n; RETURN n; END $$;
SELECT is(pg_temp.seen(c.oid), CASE c.relname WHEN 'users' THEN 1 ELSE 0 END, 'E12: with no organization left, rows of ' || c.relname)
    FROM pg_class c WHERE c.relnamespace = 'orgusers'::regnamespace AND c.relkind = 'r' AND has_table_privilege(c.oid, 'SELECT')
      AND c.relname NOT IN ('policies', 'plans', 'permissions', 'role_templates', 'role_template_permissions', 'role_template_grants', 'base_permissions');
SELECT is_empty($$SELECT k.key FROM orgusers.permissions k WHERE orgusers.can(org('Hub One'), k.key) OR orgusers.orgs_with(k.key) <> '{}' OR orgusers.orgs_reached(k.key) <> '{}' OR orgusers.spaces_with(k.key) <> '{}'$$,
    'E12: no permission anywhere');
SELECT is_empty('SELECT org_id FROM orgusers.my_organizations() UNION ALL SELECT org_id FROM orgusers.my_invitations()', 'E12: no organization, no invitation');
SELECT is(orgusers.current_organization_id(), NULL, 'E12: no current organization');
-- Every function with an organization for its first argument, whatever the others are.
CREATE FUNCTION pg_temp.answer(called regprocedure) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    EXECUTE format('SELECT string_agg(f::text, '','') FROM orgusers.%I(%L%s) f', (SELECT proname FROM pg_proc WHERE oid = called), org('Hub One'),
        (SELECT coalesce(string_agg(', NULL::' || t::regtype, '' ORDER BY n), '') FROM pg_proc p, unnest(p.proargtypes::oid[]) WITH ORDINALITY x (t, n) WHERE p.oid = called AND n > 1)) INTO answer;
    RETURN coalesce(nullif(answer, ''), 'nothing');
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;
SELECT is(pg_temp.answer(p.oid), CASE
        WHEN p.proname IN ('can', 'has_role', 'is_member') THEN 'false'
        WHEN p.proname = 'access_state' THEN 'none'
        WHEN p.proname = 'new_areas' THEN '{}'
        WHEN p.proname = 'record_activity' THEN 'nothing'
        WHEN p.proname IN ('accept_my_invitation', 'decline_my_invitation') THEN 'OU211'
        WHEN p.proname = 'invite_users' THEN 'OU009'
        WHEN p.proname = 'join_by_domain' THEN 'OU215'
        ELSE 'OU101' END, 'E12: with no organization left, ' || p.proname)
    FROM pg_proc p WHERE p.pronamespace = 'orgusers'::regnamespace AND has_function_privilege(p.oid, 'EXECUTE') AND p.pronargs > 0 AND p.proargnames[1] = 'org_id';

-- Who reaches a sub-account from above is no user of it.
RESET ROLE;
SAVEPOINT s;
UPDATE orgusers.role_templates SET reaches_below = true WHERE policy = 'hub' AND id = 'boss';
INSERT INTO orgusers.organizations (name, policy, parent_id) VALUES ('Sub', 'hub', org('Hub One'));
SET LOCAL ROLE regress_ou_app;
SELECT act('ann');
SELECT is(orgusers.access_state(org('Sub')), 'full', 'E8: who reaches a sub-account from above has full access');
SELECT is(orgusers.new_areas(org('Sub')), '{}', 'E9: but is shown no tour');
SELECT orgusers.record_activity(org('Sub')) \g /dev/null
SELECT is((SELECT count(*)::int FROM orgusers.last_activity WHERE org_id = org('Sub')), 0, 'B6: nor noted');
SELECT throws_ok($$SELECT orgusers.preview_leaving(org('Sub'))$$, 'OU101', NULL, 'E11: and has nothing to leave');
RESET ROLE;
ROLLBACK TO s;

-- Mails about deactivation
DELETE FROM orgusers.mail_outbox;
SELECT enlist('Hub One', 'bob', 'PLAIN');
SET LOCAL ROLE regress_ou_app;
SELECT act('ann');
SELECT orgusers.deactivate_user(org('Hub One'), person('bob')), orgusers.deactivate_user(org('Hub One'), person('bob')) \g /dev/null
SELECT matches(letter('bob'), '^Ihr Zugang zu Hub One in The Hub ruht\n', 'C6: a deactivated user gets mail, in the own language');
SELECT orgusers.reactivate_user(org('Hub One'), person('bob')), orgusers.reactivate_user(org('Hub One'), person('bob')) \g /dev/null
SELECT matches(letter('bob'), '^Sie haben wieder Zugang zu Hub One in The Hub\n', 'C7: and a reactivated one');
SELECT is(mails('bob'), 'user_deactivated user_reactivated', 'C6: one each, however often it is said');

-- Every mail of a German user is German, as the mailer gets it.
SELECT orgusers.invite_user(org('Hub One'), 'de@example.org', '{CLERK}', locale => 'de'), orgusers.set_user_roles(org('Hub One'), person('bob'), '{BOSS}'),
       orgusers.set_billing_admin(org('Hub One'), person('bob')), orgusers.invite_user(org('Hub One'), 'cyd@example.org') \g /dev/null
SELECT act('bob');
SELECT orgusers.set_billing_admin(org('Hub One'), person('ann')), orgusers.resend_invitation(org('Hub One'), inv('Hub One', 'cyd')) \g /dev/null
SELECT act('cyd');
SELECT orgusers.decline_my_invitation(org_id, id) FROM orgusers.my_invitations() \g /dev/null
SELECT act('gus');
SELECT pg_temp.leave('Hub One') \g /dev/null
SELECT act('ann');
SELECT orgusers.cancel_invitation(org('Hub One'), inv('Hub One', 'de')), orgusers.remove_user(org('Hub One'), person('bob')) \g /dev/null
RESET ROLE;
SELECT orgusers.welcome(org('Hub One'), person('new')) \g /dev/null
DELETE FROM orgusers.welcomed WHERE user_id = person('new');
SELECT orgusers.welcome(org('Hub One'), person('new')) \g /dev/null
UPDATE orgusers.mail_outbox SET status = 'queued', due_at = now();
CREATE TEMP TABLE claimed AS SELECT * FROM orgusers.claim_mail(1000) WHERE recipient IN ('bob@example.org', 'de@example.org', 'new@example.org');
SELECT set_eq('SELECT DISTINCT kind FROM claimed', $$SELECT DISTINCT kind FROM orgusers.mail_templates$$, 'mails of every kind to people who read German');
SELECT is_empty($$SELECT kind, subject FROM claimed WHERE body_text NOT LIKE 'Guten Tag {{recipient}},%' OR body_html NOT LIKE '%<html lang="de">%' OR subject = (SELECT t.subject FROM orgusers.mail_templates t WHERE t.policy = 'hub' AND t.kind = claimed.kind AND t.locale = 'en')$$,
    'are German');

SELECT * FROM finish();
ROLLBACK;
