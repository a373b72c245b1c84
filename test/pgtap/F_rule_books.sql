-- Rule-books are data: copied, made from nothing, checked for contradictions, and edited while organizations follow them.
BEGIN;
\ir setup.psql
SELECT orgusers.install_spaces(), orgusers.install_cases(), orgusers.install_subaccounts(), orgusers.install_customer_hub();
SELECT no_plan();

SELECT throws_ok(format('SELECT orgusers.install_%s()', id), 'OU107', NULL, 'F7: a rule-book is installed once: ' || id) FROM orgusers.policies;

-- Every table that has rows by policy, but those of organizations.
CREATE FUNCTION pg_temp.rule_book(id text) RETURNS TABLE (relation text, image jsonb) LANGUAGE plpgsql AS $$
DECLARE
    r regclass;
BEGIN
    RETURN QUERY SELECT 'policies', to_jsonb(p) - '{id,title}'::text[] FROM orgusers.policies p WHERE p.id = rule_book.id;
    FOR r IN SELECT DISTINCT c.conrelid FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attname = 'policy'
             WHERE c.contype = 'f' AND c.confrelid IN ('orgusers.policies'::regclass, 'orgusers.role_templates'::regclass)
               AND NOT EXISTS (SELECT FROM pg_attribute o WHERE o.attrelid = c.conrelid AND o.attname IN ('org_id', 'user_id', 'parent_id')) ORDER BY 1 LOOP
        RETURN QUERY EXECUTE format('SELECT %L::text, to_jsonb(t) - ''policy'' FROM %s t WHERE policy = %L', r, r, id);
    END LOOP;
END $$;
SELECT cmp_ok((SELECT count(DISTINCT relation) FROM pg_temp.rule_book('customer_hub')), '>=', 6::bigint, 'F7: a rule-book is rows in six tables');
SELECT lives_ok(format('SELECT orgusers.create_policy(%L, %L)', 'my_' || id, id), 'F7: a rule-book is copied: ' || id) FROM orgusers.policies WHERE id !~ '^my_';
SELECT set_eq(format('SELECT * FROM pg_temp.rule_book(%L)', 'my_' || id), format('SELECT * FROM pg_temp.rule_book(%L)', id), 'F7: the copy has all that the other has: ' || id)
    FROM orgusers.policies WHERE id !~ '^my_';
SELECT is((SELECT title FROM orgusers.policies WHERE id = 'my_customer_hub'), 'My customer hub', 'F7: its title is made from the id');
SELECT lives_ok($$SELECT orgusers.create_policy('titled', 'cases', 'With a title', 'Papers', 'https://papers.example/i#{{token}}', 'post@papers.example')$$, 'F7: or given, with product, page and sender');
SELECT results_eq($$SELECT title, product_name, accept_url, mail_from::text, invitation_lifetime FROM orgusers.policies WHERE id = 'titled'$$,
    $$VALUES ('With a title', 'Papers', 'https://papers.example/i#{{token}}', 'post@papers.example', '30 days'::interval)$$, 'F7: which the copy has');
SELECT throws_ok(format($$UPDATE orgusers.policies SET %s WHERE id = 'cases'$$, switch), '23514', NULL, 'F7: times that end no calendar: ' || switch)
    FROM unnest(ARRAY['invitation_lifetime = ''300000 years''', 'invitation_lifetime = ''0''', 'activity_interval = ''300000 years''', 'activity_interval = ''-1 s''']) switch;
SELECT lives_ok($$SELECT orgusers.create_policy('long_id_')$$, 'F7: an id can end with an underscore');
SELECT results_eq($$SELECT title FROM orgusers.policies WHERE id = 'long_id_'$$, $$VALUES ('Long id')$$, 'F7: the title then does not');
SELECT throws_ok(format('SELECT orgusers.create_policy(%s)', args), state, NULL, 'F7: refused: ' || what) FROM (VALUES
    ($$'my_cases', 'cases'$$, 'OU107', 'an id in use'), ($$'x', 'none'$$, 'OU105', 'a rule-book to copy that does not exist'),
    ($$NULL$$, 'OU106', 'no id'), ($$'My cases'$$, 'OU106', 'an id with a blank'), ($$''$$, 'OU106', 'an empty id'), ($$repeat('x', 64)$$, 'OU106', 'a long id'),
    ($$'x', NULL, ' '$$, 'OU106', 'a title without a letter'), ($$'x', NULL, NULL, E'a\nb'$$, 'OU106', 'a product''s name of two lines'),
    ($$'x', NULL, NULL, NULL, 'https://x.example/'$$, '23514', 'a page without a place for the token')) AS v (args, state, what);

-- Whose they are
SET LOCAL ROLE regress_ou_server;
SELECT throws_ok(s, '42501', NULL, 'F7: rule-books are not the application''s: ' || s) FROM unnest(ARRAY[
    $$SELECT orgusers.create_policy('x')$$, $$SELECT * FROM orgusers.check_policy('cases')$$, $$SELECT orgusers.refresh_roles('cases')$$, $$SELECT orgusers.install_cases()$$,
    $$UPDATE orgusers.policies SET leaving = true$$, $$INSERT INTO orgusers.role_template_permissions VALUES ('spaces', 'member', 'users.invite')$$,
    $$DELETE FROM orgusers.role_templates$$, $$SELECT orgusers.register_permission('x.y', 'X')$$]) s;
RESET ROLE;

-- An organization under a copy follows the copy.
UPDATE orgusers.policies SET invitation_lifetime = '1 hour' WHERE id = 'my_spaces';
DELETE FROM orgusers.role_template_grants WHERE policy = 'my_spaces' AND template = 'user_admin';
SELECT act('ann');
SELECT orgusers.create_organization('Copied', 'my_spaces') IS NOT NULL AS made, orgusers.create_organization('Original', 'spaces') IS NOT NULL AS made \g /dev/null
SELECT enlist(o, 'cyd', 'User Admin') FROM unnest(ARRAY['Copied', 'Original']) o;
SET LOCAL ROLE regress_ou_app;
SELECT lives_ok(format($$SELECT orgusers.invite_user(org(%L), 'dan@example.org', '{Member}')$$, o), 'F7: an administrator invites under ' || o) FROM unnest(ARRAY['Copied', 'Original']) o;
SELECT results_eq($$SELECT o, expires_at < now() + interval '2 hours' FROM unnest(ARRAY['Copied', 'Original']) o, orgusers.list_invitations(org(o)) ORDER BY o$$,
    $$VALUES ('Copied', true), ('Original', false)$$, 'F7: for as long as each rule-book says');
SELECT act('cyd');
SELECT throws_ok($$SELECT orgusers.invite_user(org('Copied'), 'eve@example.org', '{Member}')$$, 'OU108', NULL, 'F7: a grant taken from the copy is refused there');
SELECT lives_ok($$SELECT orgusers.invite_user(org('Original'), 'eve@example.org', '{Member}')$$, 'F7: and stays in the original');
RESET ROLE;

-- From nothing
SELECT lives_ok($$SELECT orgusers.create_policy('club', title => 'Club')$$, 'F7: a rule-book is begun from nothing');
SELECT results_eq($$SELECT finding FROM orgusers.check_policy('club')$$, ARRAY['no_founder_role', 'nobody_invites', 'no_default_role', 'nobody_hears_of_leaving'], 'F7: check_policy says what is missing');
INSERT INTO orgusers.role_templates (policy, id, name, founder, by_default, least_holders, most_holders) VALUES
    ('club', 'chair', 'Chair', true, false, 1, 1), ('club', 'clerk', 'Clerk', false, false, 0, NULL), ('club', 'guest', 'Guest', false, true, 0, NULL);
INSERT INTO orgusers.role_template_permissions SELECT 'club', t, p FROM (VALUES
    ('chair', '{organization.view,users.view,users.invite,users.remove,roles.assign}'::text[]), ('clerk', '{organization.view,users.view,users.invite}'), ('guest', '{organization.view}')) AS v (t, ps), unnest(ps) p;
INSERT INTO orgusers.role_template_grants VALUES ('club', 'chair', 'chair'), ('club', 'chair', 'clerk'), ('club', 'chair', 'guest'), ('club', 'clerk', 'guest');
SELECT is_empty($$SELECT * FROM orgusers.check_policy('club')$$, 'F7: with roles, permissions and grants it is whole');
SET LOCAL ROLE regress_ou_app;
SELECT act('eve');
SELECT lives_ok($$SELECT orgusers.create_my_organization('Chess', 'club')$$, 'F7: an organization is made under it');
SELECT is(roles_of('Chess', 'eve'), 'Chair', 'F7: with its founder''s role');
SELECT enlist('Chess', 'fay', 'Guest');
SELECT throws_ok($$SELECT orgusers.set_user_roles(org('Chess'), person('fay'), '{Chair}')$$, 'OU304', NULL, 'F7: and its limits');
SELECT lives_ok($$SELECT orgusers.set_user_roles(org('Chess'), person('fay'), '{Clerk}')$$, 'F7: and its grants');
SELECT act('fay');
SELECT throws_ok($$SELECT orgusers.invite_user(org('Chess'), 'x@example.org', '{Clerk}')$$, 'OU108', NULL, 'F7: a Clerk gives what the rule-book says');
SELECT lives_ok($$SELECT orgusers.invite_user(org('Chess'), 'x@example.org')$$, 'F7: and mail goes out by templates of its own');
SELECT throws_ok($$SELECT orgusers.create_my_organization('Chess 2', 'none')$$, 'OU105', NULL, 'F7: a rule-book that does not exist is refused');
RESET ROLE;

-- Edited while organizations follow it
SELECT act('fay');
SELECT ok(NOT orgusers.can(org('Chess'), 'organization.rename'), 'F7: a permission that the role has not');
INSERT INTO orgusers.role_template_permissions VALUES ('club', 'clerk', 'organization.rename');
SELECT ok(orgusers.can(org('Chess'), 'organization.rename'), 'F7: is its holders'' once the owner gives it to the template');
INSERT INTO orgusers.base_permissions VALUES ('club', 'spaces.view');
SELECT ok(orgusers.can(org('Chess'), 'spaces.view'), 'F7: a base permission is everybody''s');
DELETE FROM orgusers.role_template_permissions WHERE policy = 'club' AND permission = 'organization.rename';
SELECT ok(NOT orgusers.can(org('Chess'), 'organization.rename'), 'F7: and what is taken is gone at once');

-- Roles that come later
SELECT is(orgusers.refresh_roles('club'), 0::bigint, 'F7: nothing to hand out');
INSERT INTO orgusers.role_templates (policy, id, name) VALUES ('club', 'scout', 'Scout');
INSERT INTO orgusers.role_templates (policy, id, name, editable) VALUES ('club', 'coach', 'Coach', true);
INSERT INTO orgusers.role_template_grants VALUES ('club', 'chair', 'scout'), ('club', 'chair', 'coach');
SELECT act('eve');
SELECT throws_ok($$SELECT orgusers.set_user_roles(org('Chess'), person('fay'), '{Scout}')$$, 'OU103', NULL, 'F7: an organization that was there has no later role');
SELECT orgusers.create_organization('Later', 'club') IS NOT NULL \g /dev/null
SELECT is((SELECT count(*)::int FROM orgusers.roles WHERE org_id = org('Later')), 5, 'F7: one made afterwards has');
SELECT is(orgusers.refresh_roles('club'), 1::bigint, 'F7: refresh_roles gives it to the others');
SELECT lives_ok($$SELECT orgusers.set_user_roles(org('Chess'), person('fay'), '{Scout}')$$, 'F7: who can use it');
SELECT is(orgusers.refresh_roles('club'), 0::bigint, 'F7: once');
SELECT throws_ok($$SELECT orgusers.set_user_roles(org('Chess'), person('fay'), '{Coach}')$$, 'OU103', NULL, 'F7: an editable role, which an organization may delete, is not handed out by the way');
SELECT is(orgusers.refresh_roles('club', 'coach'), 1::bigint, 'F7: but by name');
SELECT lives_ok($$SELECT orgusers.set_user_roles(org('Chess'), person('fay'), '{Coach}')$$, 'F7: then it is there');
INSERT INTO orgusers.role_templates (policy, id, name) VALUES ('club', 'umpire', 'Umpire');
UPDATE orgusers.roles SET name = 'Umpire' WHERE org_id = org('Chess') AND template = 'scout';
SELECT is(orgusers.refresh_roles('club'), 2::bigint, 'F7: where the name is in use');
SELECT set_eq($$SELECT name FROM orgusers.roles WHERE template = 'umpire'$$, ARRAY['Umpire (umpire)', 'Umpire'], 'F7: the template''s id is put behind it');
SELECT is((SELECT count(*)::int FROM orgusers.roles r JOIN orgusers.organizations o ON o.id = r.org_id WHERE r.policy <> o.policy OR o.policy = 'spaces' AND r.template = 'scout'), 0, 'F7: other rule-books'' organizations are let alone');
SELECT throws_ok($$SELECT orgusers.refresh_roles('none')$$, 'OU105', NULL, 'F7: of a rule-book that exists');
SELECT throws_ok($$SELECT orgusers.refresh_roles(NULL)$$, 'OU105', NULL, 'F7: not of NULL');
SELECT throws_ok($$SELECT orgusers.refresh_roles('club', 'none')$$, 'OU103', NULL, 'F7: and of a template that it has');

-- Contradictions.  None in the five; each found when it is made.
SELECT is_empty(format('SELECT * FROM orgusers.check_policy(%L)', id), 'F7: there is no contradiction in ' || id)
    FROM unnest(ARRAY['plans_and_groups', 'spaces', 'cases', 'subaccounts', 'customer_hub']) id;
SELECT throws_ok(format('SELECT * FROM orgusers.check_policy(%s)', id), 'OU105', NULL, 'F7: only a rule-book is checked, not ' || id) FROM unnest(ARRAY['NULL', '''none''', '''''']) id;

-- What is found after a change, which is undone.
CREATE FUNCTION pg_temp.found_after(policy text, change text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE replace(change, '%', quote_literal(found_after.policy));
    RAISE EXCEPTION USING ERRCODE = 'Z0001', MESSAGE = coalesce((SELECT string_agg(format('%s %s %s', c.severity, c.finding, c.subject), ', ')
        FROM orgusers.check_policy(found_after.policy) c WHERE c.problem <> '' AND c.hint ~ '\.$'), '');
EXCEPTION WHEN SQLSTATE 'Z0001' THEN RETURN SQLERRM;
END $$;
SELECT is(pg_temp.found_after(policy, change), finding, 'F7: found in ' || policy || ' after: ' || change) FROM (VALUES
    ('spaces', 'UPDATE orgusers.role_templates SET least_holders = 0 WHERE policy = %', ''),
    ('spaces', 'UPDATE orgusers.role_templates SET founder = false, least_holders = 0 WHERE policy = %', 'error no_founder_role spaces'),
    ('spaces', 'DELETE FROM orgusers.role_template_permissions WHERE policy = % AND permission = ''roles.assign''', 'error founder_assigns_nothing spaces'),
    ('cases', 'UPDATE orgusers.role_templates SET by_default = true WHERE policy = % AND id = ''guest''', 'error mixed_seats cases'),
    ('cases', 'UPDATE orgusers.role_templates SET founder = true WHERE policy = % AND id = ''guest''', 'error mixed_seats cases'),
    ('spaces', 'UPDATE orgusers.role_templates SET least_holders = 1 WHERE policy = % AND id = ''user_admin''', 'error least_holders_at_founding user_admin'),
    ('spaces', 'UPDATE orgusers.role_templates SET least_holders = 2 WHERE policy = % AND founder', 'error least_holders_at_founding organization_admin'),
    ('plans_and_groups', 'UPDATE orgusers.role_templates SET least_holders = 4 WHERE policy = % AND founder', 'error least_holders_at_founding admin, error least_holders_over_seats admin'),
    ('customer_hub', 'DELETE FROM orgusers.role_template_permissions WHERE policy = % AND permission = ''users.invite''', 'error nobody_invites customer_hub'),
    ('customer_hub', 'DELETE FROM orgusers.base_permissions WHERE policy = %', 'warning no_default_role customer_hub'),
    ('customer_hub', 'UPDATE orgusers.role_templates SET by_default = true WHERE policy = % AND id = ''user''', ''),
    ('spaces', 'DELETE FROM orgusers.role_template_grants WHERE policy = % AND template = ''user_admin''', 'warning default_role_not_given member, warning gives_no_role user_admin'),
    ('spaces', 'DELETE FROM orgusers.role_template_grants WHERE policy = % AND grantable = ''billing_admin''', 'error nobody_gives_role billing_admin'),
    ('spaces', 'INSERT INTO orgusers.role_template_grants VALUES (%, ''billing_admin'', ''member'')', 'warning gives_in_vain billing_admin'),
    ('spaces', 'UPDATE orgusers.role_templates SET most_holders = 5 WHERE policy = % AND id = ''member''', 'warning default_role_limited member'),
    ('spaces', 'INSERT INTO orgusers.role_template_permissions VALUES (%, ''member'', ''users.view'')', 'error joinable_role_is_powerful member'),
    ('spaces', 'DELETE FROM orgusers.role_template_permissions WHERE policy = % AND permission = ''joining.manage''', 'warning nobody_manages_joining member'),
    ('spaces', 'UPDATE orgusers.role_templates SET joinable = false WHERE policy = %', ''),
    ('customer_hub', 'DELETE FROM orgusers.role_template_permissions WHERE policy = % AND permission = ''roles.manage''', 'warning nobody_edits_roles user'),
    ('customer_hub', 'DELETE FROM orgusers.role_template_permissions WHERE policy = % AND permission = ''users.remove''', 'warning nobody_hears_of_leaving customer_hub'),
    ('cases', 'UPDATE orgusers.policies SET leaving = true WHERE id = %', 'warning nobody_hears_of_leaving cases'),
    ('customer_hub', 'UPDATE orgusers.role_templates SET joinable = true WHERE policy = % AND id = ''user''', 'warning joinable_role_is_editable user, warning nobody_manages_joining user'),
    ('customer_hub', 'UPDATE orgusers.role_templates SET editable = false WHERE policy = %', ''),
    ('cases', 'DELETE FROM orgusers.role_template_permissions WHERE policy = % AND permission = ''spaces.assign''', 'error nobody_assigns_spaces guest, error nobody_assigns_spaces limited'),
    ('cases', 'DELETE FROM orgusers.role_template_permissions WHERE policy = % AND template = ''guest''', 'warning nothing_in_spaces guest'),
    ('subaccounts', 'DELETE FROM orgusers.role_template_permissions WHERE policy = % AND permission = ''subaccounts.manage''', 'warning no_sub_accounts account_admin, warning no_sub_accounts subaccounts, warning no_sub_accounts team_admin'),
    ('subaccounts', 'UPDATE orgusers.role_templates SET in_charge = false, reaches_below = false WHERE policy = %', 'warning person_in_charge_not_invited account_admin'),
    ('subaccounts', 'DELETE FROM orgusers.role_template_grants WHERE policy = % AND template = ''account_admin'' AND grantable = ''team_admin''', 'warning person_in_charge_not_invited account_admin'),
    ('cases', 'UPDATE orgusers.role_templates SET holds_seat = false WHERE policy = % AND founder', 'error founder_is_free per_user'),
    ('cases', 'DELETE FROM orgusers.role_template_permissions WHERE policy = % AND permission = ''billing.manage''', 'error nobody_manages_billing per_user'),
    ('spaces', 'UPDATE orgusers.policies SET default_plan = ''business'' WHERE id = %', ''),
    ('spaces', 'DELETE FROM orgusers.mail_templates WHERE policy = % AND kind = ''user_removed''', 'error no_mail_template user_removed')
    ) AS v (policy, change, finding);
-- Every kind of mail that the extension can send is looked for.
SELECT set_eq($$SELECT subject FROM orgusers.create_policy('mute') m, LATERAL (SELECT pg_temp.found_after('mute', 'DELETE FROM orgusers.mail_templates WHERE policy = %')) f (found),
                LATERAL regexp_matches(found, 'no_mail_template (\w+)', 'g') AS k, LATERAL (SELECT k[1]) AS s (subject)$$,
    $$SELECT DISTINCT kind FROM orgusers.mail_templates$$, 'F7: found is every kind of mail without a template');

SELECT * FROM finish();
ROLLBACK;
