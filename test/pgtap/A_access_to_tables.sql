-- What roles may do with the extension's tables and functions, and which rows each user sees of them.
BEGIN;
\ir setup.psql
SELECT no_plan();

-- Two organizations with everything in them.
UPDATE orgusers.policies SET daily_invitations = 10;
SELECT act('ann');
DO $$
DECLARE
    called text;
    link   text;
BEGIN
    PERFORM orgusers.create_organization('Acme', 'plans_and_groups');
    PERFORM act('eve');
    PERFORM orgusers.create_organization('Other', 'plans_and_groups');
    PERFORM orgusers.set_plan(org('Acme'), 'paid', person('ann'));
    PERFORM orgusers.set_plan(org('Other'), 'paid', person('eve'));
    FOREACH called IN ARRAY ARRAY['Acme', 'Other'] LOOP
        PERFORM act(CASE called WHEN 'Acme' THEN 'ann' ELSE 'eve' END);
        PERFORM enlist(called, CASE called WHEN 'Acme' THEN 'bob' ELSE 'fay' END);
        PERFORM orgusers.create_group(org(called), 'ops', '{USER}');
        PERFORM orgusers.set_user_groups(org(called), CASE called WHEN 'Acme' THEN person('bob') ELSE person('fay') END, '{ops}');
        PERFORM orgusers.invite_user(org(called), 'dan@example.org', '{USER}', '{ops}');
        link := orgusers.invitation_link(org(called), inv(called, 'dan'));
        PERFORM orgusers.create_space(org(called), 'room');
        PERFORM orgusers.set_user_spaces(org(called), CASE called WHEN 'Acme' THEN person('bob') ELSE person('fay') END, '{room}');
        PERFORM orgusers.set_group_spaces(org(called), 'ops', '{room}');
        PERFORM orgusers.set_invitation_spaces(org(called), inv(called, 'dan'), '{room}');
        UPDATE orgusers.role_templates SET joinable = true WHERE id = 'user';
        PERFORM orgusers.create_join_link(org(called));
        PERFORM orgusers.claim_join_domain(org(called), 'corp.example');
        PERFORM orgusers.set_user_permissions(org(called), CASE called WHEN 'Acme' THEN person('bob') ELSE person('fay') END, '{billing.view,billing.statement}');
        PERFORM orgusers.record_activity(org(called));
        PERFORM act(CASE called WHEN 'Acme' THEN 'bob' ELSE 'fay' END);
        PERFORM orgusers.record_activity(org(called)), orgusers.new_areas(org(called));
    END LOOP;
    -- cyd is in both, and works in the other one.
    PERFORM enlist('Acme', 'cyd');
    PERFORM enlist('Other', 'cyd', 'ADMIN');
    PERFORM act('cyd');
    PERFORM orgusers.switch_organization(org('Other'));
END $$;
INSERT INTO orgusers.welcomed VALUES (person('ann'), 'plans_and_groups');
INSERT INTO orgusers.base_permissions VALUES ('plans_and_groups', 'organization.view');
INSERT INTO orgusers.seat_ledger SELECT id, person('gus'), now() - interval '2 days', now() - interval '1 day' FROM orgusers.organizations;
INSERT INTO orgusers.plan_ledger SELECT id, now() - interval '2 days', now() - interval '1 day', 'free' FROM orgusers.organizations;
INSERT INTO orgusers.role_permissions SELECT org_id, id, 'spaces.view' FROM orgusers.roles WHERE name = 'USER';
CREATE TABLE docs (org_id uuid);
CREATE INDEX ON docs (org_id);
SELECT orgusers.protect_table('docs', read => 'users.view');
SELECT orgusers.add_assertion_key('k', 'EdDSA', decode(repeat('11', 32), 'hex'), 'test');

CREATE FUNCTION pg_temp.tables() RETURNS SETOF regclass LANGUAGE sql AS $$
    SELECT oid::regclass FROM pg_class WHERE relnamespace = 'orgusers'::regnamespace AND relkind IN ('r', 'v', 'm', 'p', 'f') ORDER BY relname $$;
-- Every table of an organization's has a row here, or the tests below show nothing.
SELECT isnt((xpath('/row/n/text()', query_to_xml(format('SELECT count(*) AS n FROM %s', t), false, true, '')))[1]::text, '0', format('A1: there is something to see in %s', t))
    FROM pg_temp.tables() t WHERE t <> 'orgusers.broken_invariants'::regclass;

-- The tables that application roles read, and how many rows each user sees of them.
CREATE TEMP TABLE readable (name regclass PRIMARY KEY, anonymous int, outsider int, app_user int, app_admin int, other_admin int);
INSERT INTO readable VALUES
    ('orgusers.organizations',     0, 0, 1, 1, 1),
    ('orgusers.roles',             0, 0, 2, 2, 2),
    ('orgusers.role_permissions',  0, 0, 1, 1, 1),
    ('orgusers.groups',            0, 0, 1, 1, 1),
    ('orgusers.group_roles',       0, 0, 1, 1, 1),
    ('orgusers.memberships',       0, 0, 1, 3, 3),
    ('orgusers.membership_roles',  0, 0, 1, 3, 3),
    ('orgusers.current_organizations', 0, 0, 0, 0, 0),
    ('orgusers.membership_permissions', 0, 0, 2, 2, 2),
    ('orgusers.last_activity',     0, 0, 1, 2, 2),
    ('orgusers.seen_areas',        0, 0, 3, 0, 0),
    ('orgusers.spaces',            0, 0, 1, 1, 1),
    ('orgusers.space_members',     0, 0, 1, 1, 1),
    ('orgusers.space_groups',      0, 0, 1, 1, 1),
    ('orgusers.group_members',     0, 0, 1, 1, 1),
    ('orgusers.users',             0, 1, 1, 3, 3),
    ('orgusers.subscriptions',     0, 0, 1, 1, 1),
    ('orgusers.seat_ledger',       0, 0, 1, 1, 1),
    ('orgusers.plan_ledger',       0, 0, 1, 1, 1),
    ('orgusers.join_links',        0, 0, 0, 1, 1),
    ('orgusers.join_link_roles',   0, 0, 0, 1, 1),
    ('orgusers.join_domains',      0, 0, 0, 1, 1),
    ('orgusers.join_domain_roles', 0, 0, 0, 1, 1),
    ('orgusers.invitations',       0, 0, 0, 1, 1),
    ('orgusers.invitation_roles',  0, 0, 0, 1, 1),
    ('orgusers.invitation_spaces', 0, 0, 0, 1, 1),
    ('orgusers.invitation_groups', 0, 0, 0, 1, 1),
    ('orgusers.audit_log',         0, 0, 0, (SELECT count(*) FROM orgusers.audit_log WHERE org_id = org('Acme')), (SELECT count(*) FROM orgusers.audit_log WHERE org_id = org('Other')));
-- The rule-books are everybody's to read.
CREATE TEMP TABLE rule_books (name regclass PRIMARY KEY);
INSERT INTO rule_books SELECT ('orgusers.' || t)::regclass
    FROM unnest(ARRAY['policies', 'plans', 'permissions', 'role_templates', 'role_template_permissions', 'role_template_grants', 'base_permissions']) t;
GRANT SELECT ON readable, rule_books TO PUBLIC;

-- A1: privileges
SELECT set_eq(format($$SELECT t FROM pg_temp.tables() t WHERE has_any_column_privilege(%L, t, 'SELECT')$$, r), 'SELECT name FROM readable UNION SELECT name FROM rule_books',
    'A1: ' || r || ' reads the tables meant for it, and no other') FROM unnest(ARRAY['regress_ou_app', 'regress_ou_server']) r;
SELECT is_empty(format($$SELECT t, p FROM pg_temp.tables() t, unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) p WHERE has_table_privilege(%L, t, p)$$, r),
    'A1: ' || r || ' has no other privilege on a table') FROM unnest(ARRAY['regress_ou_app', 'regress_ou_server', 'regress_ou_mailer', 'regress_ou_nobody']) r;
SELECT is_empty(format($$SELECT t, p FROM pg_temp.tables() t, unnest(ARRAY['INSERT', 'UPDATE', 'REFERENCES']) p WHERE has_any_column_privilege(%L, t, p)$$, r),
    'A1: nor on a column') FROM unnest(ARRAY['regress_ou_app', 'regress_ou_server', 'regress_ou_mailer', 'regress_ou_nobody']) r;
SELECT is_empty(format($$SELECT t FROM pg_temp.tables() t WHERE has_any_column_privilege(%L, t, 'SELECT')$$, r), 'A1: ' || r || ' reads no table')
    FROM unnest(ARRAY['regress_ou_mailer', 'regress_ou_nobody']) r;
SELECT is(has_schema_privilege(r, 'orgusers', 'CREATE'), false, 'A1: ' || r || ' makes nothing in the schema')
    FROM unnest(ARRAY['regress_ou_app', 'regress_ou_server', 'regress_ou_mailer', 'regress_ou_nobody']) r;
SELECT is_empty($$SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'orgusers'::regnamespace AND has_function_privilege('regress_ou_nobody', oid, 'EXECUTE')$$,
    'A1: a role without an audience calls nothing');
SELECT set_eq(format($$SELECT proname::text FROM pg_proc WHERE pronamespace = 'orgusers'::regnamespace AND has_function_privilege('regress_ou_%s', oid, 'EXECUTE')$$, short),
    format($$SELECT unnest(orgusers.audience_functions(a)) FROM unnest(%L::text[]) a$$, audiences), 'A1: ' || short || ' calls exactly the functions of its audience')
    FROM (VALUES ('app', '{application}'), ('server', '{application,server}'), ('mailer', '{mailer}')) AS v (short, audiences);
SELECT is_empty($$SELECT f FROM unnest(ARRAY['application', 'server', 'mailer']) a, unnest(orgusers.audience_functions(a)) f
    WHERE NOT EXISTS (SELECT FROM pg_proc WHERE pronamespace = 'orgusers'::regnamespace AND proname = f)$$, 'A1: an audience lists functions that exist');
SELECT throws_ok($$SELECT orgusers.grant_to('regress_ou_app', 'root')$$, 'OU009', NULL, 'A1: there is no other audience');
SELECT throws_ok($$SELECT orgusers.grant_to('regress_ou_app', NULL)$$, 'OU009', NULL, 'A1: nor NULL');
SELECT throws_ok($$SELECT orgusers.grant_to(NULL, 'application')$$, 'OU009', NULL, 'A1: nor a role NULL');

SET LOCAL ROLE regress_ou_app;
SELECT act('ann');
SELECT throws_ok(s, '42501', NULL, 'A1: the application''s role may not: ' || s) FROM (VALUES
    ($$SELECT orgusers.act_as(NULL)$$),
    ($$SELECT set_config('orgusers.user_id', '', true)$$),
    ($$SET orgusers.user_id = ''$$),
    ($$SELECT orgusers.register_user('x@example.org')$$),
    ($$SELECT orgusers.set_plan(NULL, 'free')$$),
    ($$SELECT orgusers.accept(NULL, NULL, NULL)$$),
    ($$SELECT orgusers.enqueue_mail(NULL, NULL, NULL, NULL, NULL, NULL)$$),
    ($$SELECT orgusers.new_invitation_token(orgusers.new_id())$$),
    ($$SELECT orgusers.lock_organization(gen_random_uuid())$$),
    ($$SELECT orgusers.grant_to('regress_ou_app', 'server')$$),
    ($$SELECT * FROM orgusers.mail_outbox$$),
    ($$SELECT * FROM orgusers.invitation_tokens$$),
    ($$SELECT digest FROM orgusers.join_links$$),
    ($$SELECT orgusers.verify_join_domain(NULL, NULL, NULL)$$),
    ($$SELECT * FROM orgusers.assertion_keys$$),
    ($$SELECT * FROM orgusers.rights$$),
    ($$SELECT * FROM orgusers.claim_mail()$$)) AS v (s);
SELECT throws_ok(format('%s %s', verb, rest), '42501', NULL, format('A1: an ADMIN by the application''s role is refused %s of %s', verb, t))
    FROM pg_temp.tables() t,
         LATERAL (VALUES ('DELETE', format('FROM %s', t)), ('TRUNCATE', t::text), ('INSERT', format('INTO %s DEFAULT VALUES', t)),
                         ('UPDATE', format('%s SET %I = NULL', t, (SELECT attname FROM pg_attribute WHERE attrelid = t AND attnum = 1)))) AS v (verb, rest)
    WHERE (SELECT relkind FROM pg_class WHERE oid = t) = 'r';
SELECT throws_ok(s, '42501', NULL, 'A1: the application''s role may not: ' || s) FROM (VALUES
    ($$SELECT * FROM orgusers.users FOR UPDATE$$),
    ($$LOCK TABLE orgusers.organizations IN ACCESS EXCLUSIVE MODE$$),
    ($$ALTER TABLE orgusers.memberships DISABLE TRIGGER ALL$$),
    ($$ALTER TABLE orgusers.memberships DISABLE ROW LEVEL SECURITY$$),
    ($$CREATE TABLE orgusers.mine ()$$),
    ($$SET session_replication_role = replica$$)) AS v (s);
SELECT throws_ok($$SET LOCAL row_security = off; SELECT * FROM orgusers.users$$, '42501', NULL, 'A1: nor read past row level security');

-- A1: rows
CREATE FUNCTION pg_temp.seen(t regclass) RETURNS int LANGUAGE plpgsql AS $$
DECLARE n int; BEGIN EXECUTE format('SELECT count(*) FROM %s', t) INTO n; RETURN n; END $$;
SELECT act(NULL);
SELECT is(pg_temp.seen(name), anonymous, format('A1: an anonymous session''s rows of %s', name)) FROM readable;
SELECT act('gus');
SELECT is(pg_temp.seen(name), outsider, format('A1: an outsider''s rows of %s', name)) FROM readable;
SELECT act('dan');
SELECT is(pg_temp.seen(name), outsider, format('A1: an invited person''s rows of %s', name)) FROM readable;
SELECT act('bob');
SELECT is(pg_temp.seen(name), app_user, format('A1: a USER''s rows of %s', name)) FROM readable;
SELECT act('ann');
SELECT is(pg_temp.seen(name), app_admin, format('A1: an ADMIN''s rows of %s', name)) FROM readable;
SELECT act('eve');
SELECT is(pg_temp.seen(name), other_admin, format('A1: the other organization''s ADMIN''s rows of %s', name)) FROM readable;
SET LOCAL ROLE regress_ou_server;
SELECT act(NULL);
SELECT is(pg_temp.seen(name), 0, format('A1: the server''s role sees no more: anonymous rows of %s', name)) FROM readable;
SET LOCAL ROLE regress_ou_app;

SELECT act('bob');
SELECT results_eq('SELECT user_id FROM orgusers.memberships', $$SELECT person('bob')$$, 'A1: a USER sees the own membership');
SELECT results_eq('SELECT email::text FROM orgusers.users', ARRAY['bob@example.org'], 'A1: and the own entry');
SELECT is_empty('SELECT * FROM orgusers.users WHERE email = ''ann@example.org''', 'A1: and nobody else''s by the address');
SELECT act('ann');
SELECT results_eq('SELECT email::text FROM orgusers.users ORDER BY email', ARRAY['ann@example.org', 'bob@example.org', 'cyd@example.org'], 'A1: an ADMIN sees the users of the organization');
SELECT set_eq('SELECT DISTINCT org_id FROM orgusers.memberships', $$SELECT org('Acme')$$, 'A14: of a user of two organizations, only the own one''s membership');
SELECT is_empty($$SELECT c.* FROM orgusers.current_organizations c WHERE c.org_id = org('Other')$$, 'A14: and not which other organization the user works in');
SELECT results_eq('SELECT org_id FROM orgusers.invitations', $$SELECT org('Acme')$$, 'A1: an ADMIN sees the own organization''s invitations');
SELECT act('cyd');
SELECT is(pg_temp.seen('orgusers.organizations'), 2, 'A14: who is in two organizations sees both');
SELECT is((SELECT count(*)::int FROM orgusers.memberships WHERE org_id = org('Acme')), 1, 'A14: a USER of the first sees the own membership there');
SELECT is((SELECT count(*)::int FROM orgusers.memberships WHERE org_id = org('Other')), 3, 'A14: and as ADMIN of the second all there');
SELECT is_empty($$SELECT * FROM orgusers.users WHERE email = 'bob@example.org'$$, 'A14: the rights of one give nothing in the other');
SELECT as_owner($$UPDATE orgusers.memberships SET status = 'deactivated', deactivated_at = now() WHERE user_id = person('cyd') AND org_id = org('Other')$$);
SELECT is((SELECT count(*)::int FROM orgusers.organizations WHERE name = 'Other'), 0, 'A1: deactivated, an ADMIN sees the organization no more');
SELECT results_eq($$SELECT status FROM orgusers.memberships WHERE org_id = org('Other')$$, ARRAY['deactivated'], 'A1: but the own membership');
SELECT is((SELECT count(*)::int FROM orgusers.invitations), 0, 'A1: and no invitations');

-- A view of the application's owner that passes rows on shows what the owner sees; one with security_invoker, what the actor does.
SELECT as_owner('CREATE VIEW public.regress_ou_view WITH (security_invoker = true) AS SELECT * FROM orgusers.memberships; GRANT SELECT ON public.regress_ou_view TO regress_ou_app');
SELECT act('bob');
SELECT is((SELECT count(*)::int FROM regress_ou_view), 1, 'A1: a view with security_invoker shows the actor''s rows');

-- A function in a condition must not see rows that the actor does not.
CREATE TEMP TABLE leaked (value text);
CREATE FUNCTION pg_temp.leak(value text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$ BEGIN INSERT INTO leaked VALUES (value); RETURN true; END $$;
SELECT act('gus');
SELECT lives_ok($$SELECT * FROM orgusers.invitations WHERE pg_temp.leak(email::text)$$, 'A1: a cheap function in a condition');
SELECT lives_ok($$SELECT * FROM orgusers.users WHERE pg_temp.leak(display_name)$$, 'A1: and of another table');
SELECT results_eq('SELECT value FROM leaked', ARRAY['Gus'], 'A1: is shown the actor''s own rows only');

-- The owner: TRUNCATE
RESET ROLE;
SELECT and_commit('');
SELECT throws_ok('TRUNCATE ' || t, 'OU305', NULL, 'A6: even the owner does not TRUNCATE ' || t)
    FROM unnest(ARRAY['orgusers.memberships CASCADE', 'orgusers.membership_roles', 'orgusers.roles CASCADE', 'orgusers.subscriptions', 'orgusers.users CASCADE',
                      'orgusers.memberships, orgusers.subscriptions, orgusers.membership_roles, orgusers.group_members, orgusers.membership_permissions, orgusers.space_members']) t;
SELECT throws_ok('TRUNCATE orgusers.memberships', '0A000', NULL, 'A6: nor memberships alone');
SELECT is(active('Acme'), 'ann bob cyd', 'A6: and everything is there afterwards');
SELECT lives_ok('TRUNCATE orgusers.organizations CASCADE', 'A6: with the organizations everything of theirs can go');
SELECT is((SELECT count(*)::int FROM orgusers.memberships), 0, 'A6: and goes');
SELECT is((SELECT count(*)::int FROM orgusers.mail_outbox WHERE sealed_token IS NOT NULL), 0, 'A7: and no mail goes out with a token of an invitation that is gone');

SELECT * FROM finish();
ROLLBACK;
