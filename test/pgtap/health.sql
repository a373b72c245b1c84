-- health_check(): each finding is provoked, alone, and gone when its cause is mended; a healthy database has none.
BEGIN;
\ir setup.psql
SELECT no_plan();

CREATE FUNCTION healthy(what text, thorough boolean DEFAULT true) RETURNS text LANGUAGE sql AS
    $$ SELECT is_empty(format('SELECT * FROM orgusers.health_check(%L)', thorough), what) $$;

-- Does something, expects these findings (severity, finding, detail by LIKE) and no others, mends it, and expects none.
CREATE FUNCTION finds(what text, cause text, severity text, finding text, detail text, mend text, thorough boolean DEFAULT false, rows int DEFAULT 1)
    RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    found record;
BEGIN
    SET CONSTRAINTS ALL IMMEDIATE;
    EXECUTE cause;
    SELECT count(*) AS rows, string_agg(DISTINCT h.severity || ': ' || h.finding, '; ') AS said, string_agg(h.detail, '; ') AS details,
           bool_and(h.detail LIKE finds.detail AND h.hint <> '') AS fit
        INTO found FROM orgusers.health_check(thorough) h;
    RETURN NEXT is(found.said, finds.severity || ': ' || finds.finding, what);
    RETURN NEXT ok(found.rows = finds.rows AND found.fit, format('%s: %s row(s) %s', what, finds.rows, finds.detail));
    IF NOT found.fit THEN
        RETURN NEXT diag(found.details);
    END IF;
    EXECUTE mend;
    SET CONSTRAINTS ALL IMMEDIATE;
    RETURN NEXT healthy(what || ', mended', thorough);
END $$;

-- Writes past the triggers.
CREATE FUNCTION past_triggers(VARIADIC statements text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    statement text;
BEGIN
    PERFORM set_config('session_replication_role', 'replica', true);
    FOREACH statement IN ARRAY statements LOOP
        EXECUTE statement;
    END LOOP;
    PERFORM set_config('session_replication_role', 'origin', true);
END $$;

-- A healthy database of each rule-book, with people in all roles, spaces, groups, a sub-account and invitations
DO $$
DECLARE
    book text;
    one  record;
    acme uuid;
BEGIN
    DELETE FROM orgusers.policies;
    FOREACH book IN ARRAY ARRAY['plans_and_groups', 'spaces', 'cases', 'subaccounts', 'customer_hub'] LOOP
        EXECUTE format('SELECT orgusers.install_%s()', book);
        PERFORM act('ann');
        acme := orgusers.create_organization(book, book);
        -- Bob has the first role by name, Cyd the second, and so on; the Free plan has room for Bob only.
        FOR one IN SELECT u.id AS user_id, r.id AS role_id, r.holds_seat
                   FROM (SELECT r.*, row_number() OVER (ORDER BY r.name) AS n FROM orgusers.roles r WHERE r.org_id = acme) r
                   JOIN (SELECT u.*, row_number() OVER (ORDER BY u.display_name) AS n FROM orgusers.users u WHERE u.display_name <> 'Ann') u USING (n)
                   WHERE n = 1 OR book <> 'plans_and_groups' LOOP
            INSERT INTO orgusers.memberships (org_id, user_id, holds_seat) VALUES (acme, one.user_id, one.holds_seat);
            INSERT INTO orgusers.membership_roles (org_id, user_id, role_id, holds_seat) VALUES (acme, one.user_id, one.role_id, one.holds_seat);
        END LOOP;
        PERFORM orgusers.create_space(acme, 'one'), orgusers.create_space(acme, 'two');
        PERFORM orgusers.invite_user(acme, ('new@' || replace(book, '_', '-') || '.example')::orgusers.email, send => false);
    END LOOP;
    PERFORM orgusers.create_sub_account(org('subaccounts'), 'below', 'una@below.example');
    PERFORM and_commit('');
END $$;
SELECT healthy('a database with all five rule-books is healthy: ' || t, t) FROM unnest(ARRAY[true, false, NULL]) t;
SELECT is(count(*)::int, 5, 'which have organizations') FROM orgusers.policies p WHERE EXISTS (SELECT FROM orgusers.organizations o WHERE o.policy = p.id);
SAVEPOINT books;
DELETE FROM orgusers.organizations WHERE parent_id IS NOT NULL;
DELETE FROM orgusers.organizations;
SELECT healthy('and so is one without organizations');
DELETE FROM orgusers.policies;
DELETE FROM orgusers.mailer_keys;
SELECT healthy('an empty one needs no mailer');
ROLLBACK TO books;
-- What is found when all other rule-books are gone.
CREATE FUNCTION alone(book text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    findings bigint;
BEGIN
    DELETE FROM orgusers.organizations WHERE policy <> book AND parent_id IS NOT NULL;
    DELETE FROM orgusers.organizations WHERE policy <> book;
    DELETE FROM orgusers.policies WHERE id <> book;
    DELETE FROM orgusers.plans p WHERE p.id NOT IN (SELECT default_plan FROM orgusers.policies UNION SELECT plan FROM orgusers.subscriptions UNION SELECT plan FROM orgusers.plan_ledger);
    SELECT count(*) INTO findings FROM orgusers.health_check(true);
    RAISE EXCEPTION USING ERRCODE = 'P0999';
EXCEPTION WHEN SQLSTATE 'P0999' THEN
    RETURN findings;
END $$;
SELECT is(alone(id), 0::bigint, 'a database with one rule-book is healthy: ' || id) FROM orgusers.policies;

-- Who may ask
SELECT finds('a role with BYPASSRLS', 'ALTER ROLE regress_ou_app BYPASSRLS', 'error', 'an application role bypasses row level security', 'Role regress_ou_app.',
    'ALTER ROLE regress_ou_app NOBYPASSRLS');
SELECT finds('a superuser', 'ALTER ROLE regress_ou_server SUPERUSER', 'error', 'an application role bypasses row level security', 'Role regress_ou_server.',
    'ALTER ROLE regress_ou_server NOSUPERUSER');
SELECT finds('a login that inherits from an application role', 'CREATE ROLE regress_ou_web LOGIN BYPASSRLS IN ROLE regress_ou_app', 'error',
    'an application role bypasses row level security', 'Role regress_ou_web.', 'ALTER ROLE regress_ou_web NOBYPASSRLS');
SELECT finds('and one behind it', 'CREATE ROLE regress_ou_two LOGIN BYPASSRLS IN ROLE regress_ou_web', 'error',
    'an application role bypasses row level security', 'Role regress_ou_two.', 'ALTER ROLE regress_ou_two NOBYPASSRLS');
CREATE ROLE regress_ou_switch LOGIN NOINHERIT BYPASSRLS IN ROLE regress_ou_app;
SELECT healthy('who must SET ROLE to the application role is under its policies then');
SELECT finds('a superuser who was made a member', 'CREATE ROLE regress_ou_root SUPERUSER IN ROLE regress_ou_app', 'error', 'an application role bypasses row level security',
    'Role regress_ou_root.', 'DROP ROLE regress_ou_root');
CREATE ROLE regress_ou_dba SUPERUSER BYPASSRLS;
SELECT healthy('a superuser is no application role');
ALTER ROLE regress_ou_mailer BYPASSRLS;
SELECT healthy('the mailer asks for no rights');
SELECT finds('a way to the owner', format('GRANT %I TO regress_ou_app', current_user), 'error', 'an application role can become the extension''s owner', 'Role regress_ou_%.',
    format('REVOKE %I FROM regress_ou_app', current_user), rows => 3);
SELECT finds('a function for everybody', 'GRANT EXECUTE ON FUNCTION orgusers.act_as(uuid, boolean) TO PUBLIC', 'error',
    'everybody may call a function or read a table of the extension', 'orgusers.act_as(uuid,boolean).', 'REVOKE ALL ON FUNCTION orgusers.act_as(uuid, boolean) FROM PUBLIC');
SELECT finds('a table for everybody', 'GRANT SELECT ON orgusers.mail_outbox TO PUBLIC', 'error',
    'everybody may call a function or read a table of the extension', 'orgusers.mail_outbox.', 'REVOKE ALL ON orgusers.mail_outbox FROM PUBLIC');
SELECT finds('a column for everybody', 'GRANT SELECT (email) ON orgusers.users TO PUBLIC', 'error',
    'everybody may call a function or read a table of the extension', 'orgusers.users (email).', 'REVOKE ALL (email) ON orgusers.users FROM PUBLIC');

-- Tables of the application
SELECT orgusers.register_permission('docs.read', 'Read documents') \g /dev/null
SELECT finds('a table with organizations', 'CREATE TABLE public.docs (org_id uuid REFERENCES orgusers.organizations, id int)', 'warning',
    'a table that refers to organizations is not protected', 'Table public.docs.',
    $$CREATE INDEX ON public.docs (org_id); SELECT orgusers.protect_table('docs', read => 'docs.read')$$);
SELECT finds('a protected table whose owner is free', 'ALTER TABLE public.docs NO FORCE ROW LEVEL SECURITY', 'error',
    'a protected table''s policies are not in force', 'Table public.docs.', 'ALTER TABLE public.docs FORCE ROW LEVEL SECURITY');
SELECT finds('a protected table that is open', 'ALTER TABLE public.docs DISABLE ROW LEVEL SECURITY', 'error',
    'a protected table''s policies are not in force', 'Table public.docs.', 'ALTER TABLE public.docs ENABLE ROW LEVEL SECURITY');
SELECT finds('policies of one''s own without FORCE', $$CREATE TABLE public.tasks (org_id uuid, user_id uuid, FOREIGN KEY (org_id, user_id) REFERENCES orgusers.memberships);
    CREATE POLICY mine ON public.tasks USING (orgusers.can(org_id, 'docs.read')); ALTER TABLE public.tasks ENABLE ROW LEVEL SECURITY$$, 'warning',
    'a table that refers to organizations is not protected', 'Table public.tasks: its owner is not under its policies.', 'ALTER TABLE public.tasks FORCE ROW LEVEL SECURITY');
SELECT finds('a partitioned table, once', 'CREATE TABLE public.events (org_id uuid REFERENCES orgusers.organizations) PARTITION BY HASH (org_id);
    CREATE TABLE public.events_0 PARTITION OF public.events FOR VALUES WITH (MODULUS 1, REMAINDER 0)', 'warning',
    'a table that refers to organizations is not protected', 'Table public.events.', 'DROP TABLE public.events');
CREATE TABLE public.passwords (user_id uuid REFERENCES orgusers.users, hash text);
SELECT healthy('a table about users belongs to no organization');

-- Guards
CREATE FUNCTION pg_temp.unique_index() RETURNS regclass LANGUAGE sql AS $$
    SELECT i.indexrelid::regclass FROM pg_index i WHERE i.indrelid = 'orgusers.invitations'::regclass AND i.indisunique AND i.indpred IS NOT NULL $$;
SELECT finds('row level security off', 'ALTER TABLE orgusers.users DISABLE ROW LEVEL SECURITY', 'error',
    'row level security of a table of the extension is off', 'Table orgusers.users.', 'ALTER TABLE orgusers.users ENABLE ROW LEVEL SECURITY');
CREATE FUNCTION definition(of_name text) RETURNS text LANGUAGE sql AS $$ SELECT pg_get_functiondef(('orgusers.' || of_name)::regprocedure) $$;
SELECT finds(what, cause, 'error', 'a guard of the extension is missing or changed', detail, mend) FROM (VALUES
    ('a dropped trigger', 'DROP TRIGGER seats ON orgusers.memberships', 'The trigger seats on orgusers.memberships is missing.',
        (SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = 'seats' AND tgrelid = 'orgusers.memberships'::regclass)),
    ('a trigger that never fires', 'DROP TRIGGER check_root ON orgusers.organizations; CREATE TRIGGER check_root AFTER INSERT ON orgusers.organizations FOR EACH ROW WHEN (false) EXECUTE FUNCTION orgusers.check_root()',
        'The trigger check_root on orgusers.organizations is another than the extension''s.',
        'DROP TRIGGER check_root ON orgusers.organizations; ' || (SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = 'check_root' AND tgrelid = 'orgusers.organizations'::regclass)),
    ('a dropped check', 'ALTER TABLE orgusers.subscriptions DROP CONSTRAINT subscriptions_billing_admin_iff_paid', 'The constraint subscriptions_billing_admin_iff_paid on orgusers.subscriptions is missing.',
        'ALTER TABLE orgusers.subscriptions ADD CONSTRAINT subscriptions_billing_admin_iff_paid ' || (SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'subscriptions_billing_admin_iff_paid' AND conrelid = 'orgusers.subscriptions'::regclass)),
    ('a check that is not valid', 'ALTER TABLE orgusers.users DROP CONSTRAINT users_locale_check, ADD CONSTRAINT users_locale_check CHECK (orgusers.is_locale(locale)) NOT VALID',
        'The constraint users_locale_check on orgusers.users is another than the extension''s.', 'ALTER TABLE orgusers.users VALIDATE CONSTRAINT users_locale_check'),
    ('a foreign key that cascades no more', 'ALTER TABLE orgusers.seen_areas DROP CONSTRAINT seen_areas_org_id_fkey, ADD CONSTRAINT seen_areas_org_id_fkey FOREIGN KEY (org_id) REFERENCES orgusers.organizations',
        'The constraint seen_areas_org_id_fkey on orgusers.seen_areas is another than the extension''s.',
        'ALTER TABLE orgusers.seen_areas DROP CONSTRAINT seen_areas_org_id_fkey, ADD CONSTRAINT seen_areas_org_id_fkey FOREIGN KEY (org_id) REFERENCES orgusers.organizations ON DELETE CASCADE'),
    ('a dropped unique index', format('DROP INDEX %s', (SELECT i FROM pg_temp.unique_index() i)), format('The unique index %s is missing.', (SELECT i FROM pg_temp.unique_index() i)),
        (SELECT pg_get_indexdef(i) FROM pg_temp.unique_index() i)),
    ('a dropped policy', 'DROP POLICY seen ON orgusers.users', 'The policy seen on orgusers.users is missing.',
        (SELECT format('CREATE POLICY seen ON orgusers.users FOR SELECT USING (%s)', pg_get_expr(polqual, polrelid)) FROM pg_policy WHERE polrelid = 'orgusers.users'::regclass)),
    ('a policy that lets all through', 'ALTER POLICY seen ON orgusers.groups USING (true)', 'The policy seen on orgusers.groups is another than the extension''s.',
        (SELECT format('ALTER POLICY seen ON orgusers.groups USING (%s)', pg_get_expr(polqual, polrelid)) FROM pg_policy WHERE polrelid = 'orgusers.groups'::regclass)),
    ('one more policy', 'CREATE POLICY more ON orgusers.groups USING (true)', 'The policy more on orgusers.groups is not the extension''s.', 'DROP POLICY more ON orgusers.groups'),
    ('a column that may be empty', 'ALTER TABLE orgusers.invitations ALTER expires_at DROP NOT NULL', 'The column expires_at of orgusers.invitations is another than the extension''s.',
        'ALTER TABLE orgusers.invitations ALTER expires_at SET NOT NULL'),
    ('another body of a function', 'CREATE OR REPLACE FUNCTION orgusers.require(org_id uuid, permission text) RETURNS void LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$ BEGIN END $f$',
        'The function orgusers.require(uuid,text) is another than the extension''s.', definition('require(uuid,text)')),
    ('another body in SQL', 'CREATE OR REPLACE FUNCTION orgusers.is_below(org_id uuid, account_id uuid) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp RETURN true',
        'The function orgusers.is_below(uuid,uuid) is another than the extension''s.', definition('is_below(uuid,uuid)')),
    ('a path that is not pinned', 'ALTER FUNCTION orgusers.require(uuid, text) RESET search_path', 'The function orgusers.require(uuid,text) is another than the extension''s.',
        'ALTER FUNCTION orgusers.require(uuid, text) SET search_path = pg_catalog, pg_temp'),
    ('a view that shows more', 'CREATE OR REPLACE VIEW orgusers.held_roles AS SELECT m.org_id, m.user_id, r.id AS role_id, NULL::uuid AS group_id FROM orgusers.memberships m JOIN orgusers.roles r USING (org_id)',
        'The view orgusers.held_roles is another than the extension''s.', 'CREATE OR REPLACE VIEW orgusers.held_roles AS ' || pg_get_viewdef('orgusers.held_roles'::regclass))
    ) AS v (what, cause, detail, mend);
SET LOCAL quote_all_identifiers = on;
SET LOCAL timezone = 'Asia/Kathmandu';
SET LOCAL datestyle = 'German';
SELECT healthy('how a session has things spelled changes no definition');
SET LOCAL quote_all_identifiers = off;
RESET timezone;
RESET datestyle;
UPDATE orgusers.guards SET cluster = cluster - 1, definition = 'x' WHERE kind <> 'trigger';
SELECT healthy('after pg_upgrade definitions can be spelled otherwise');
SELECT finds('but names are names', 'DROP POLICY seen ON orgusers.users', 'error', 'a guard of the extension is missing or changed', 'The policy seen on orgusers.users is missing.',
    (SELECT format('CREATE POLICY seen ON orgusers.users FOR SELECT USING (%s)', pg_get_expr(polqual, polrelid)) FROM pg_policy WHERE polrelid = 'orgusers.users'::regclass));
UPDATE orgusers.guards g SET cluster = n.cluster, definition = p.definition FROM orgusers.present_guards() p, (SELECT cluster FROM orgusers.guards WHERE kind = 'trigger' LIMIT 1) n WHERE (p.kind, p.name) = (g.kind, g.name);
SELECT finds('a disabled trigger', 'ALTER TABLE orgusers.memberships DISABLE TRIGGER seats', 'error',
    'a trigger of the extension does not fire', 'Trigger seats on orgusers.memberships.', 'ALTER TABLE orgusers.memberships ENABLE TRIGGER seats');
SELECT finds('a trigger for replicas only', 'ALTER TABLE orgusers.memberships ENABLE REPLICA TRIGGER audit_update', 'error',
    'a trigger of the extension does not fire', 'Trigger audit_update on orgusers.memberships.', 'ALTER TABLE orgusers.memberships ENABLE TRIGGER audit_update');
SELECT finds('a foreign key''s triggers', 'ALTER TABLE orgusers.last_activity DISABLE TRIGGER ALL', 'error',
    'a trigger of the extension does not fire', 'Trigger "RI_ConstraintTrigger_c_%" on orgusers.last_activity, of the foreign key last_activity_%_fkey.',
    'ALTER TABLE orgusers.last_activity ENABLE TRIGGER ALL', rows => 4);
SELECT finds('a rights trigger that replication skips', format('ALTER TABLE %s ENABLE TRIGGER %I', t.tgrelid::regclass, t.tgname), 'error',
    'a trigger of the extension does not fire', format('Trigger %s on %s.', t.tgname, t.tgrelid::regclass), format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', t.tgrelid::regclass, t.tgname))
    FROM (SELECT * FROM pg_trigger WHERE tgname ~ '^rights_' AND tgrelid = 'orgusers.memberships'::regclass ORDER BY tgname LIMIT 1) t;
SELECT finds('sessions without triggers: ' || whom, format('ALTER %s SET session_replication_role = replica', whom), 'error', 'sessions begin with triggers off',
    'session_replication_role is replica ' || said || '.', format('ALTER %s RESET session_replication_role', whom))
    FROM (VALUES (format('DATABASE %I', current_database()), 'in database ' || quote_ident(current_database())), ('ROLE regress_ou_server', 'for role regress_ou_server'),
                 (format('ROLE regress_ou_app IN DATABASE %I', current_database()), 'for role regress_ou_app in database ' || quote_ident(current_database()))) AS v (whom, said);
ALTER ROLE regress_ou_app SET session_replication_role = local;
SELECT healthy('local is as origin is for ordinary triggers');
SELECT finds('a user for everybody: ' || whom, format('ALTER %s SET orgusers.user_id = %L', whom, person('ann')), 'error', 'a user is given to sessions that nobody has signed in to',
    'orgusers.user_id is set ' || said || '.', format('ALTER %s RESET orgusers.user_id', whom))
    FROM (VALUES (format('DATABASE %I', current_database()), 'in database ' || quote_ident(current_database())), ('ROLE regress_ou_app', 'for role regress_ou_app')) AS v (whom, said);
ALTER DATABASE template1 SET orgusers.user_id = '018f0000-0000-7000-8000-0000000000aa';
ALTER ROLE regress_ou_app SET orgusers.user_id = '';
SELECT healthy('another database is not this one, and nobody is nobody');
SELECT finds('parameters in the log', 'ALTER ROLE regress_ou_server SET log_parameter_max_length_on_error = 80', 'warning', 'the log shows bound parameters of statements that fail',
    'log_parameter_max_length_on_error is 80 for role regress_ou_server.', 'ALTER ROLE regress_ou_server RESET log_parameter_max_length_on_error');
SELECT finds('another version of the library', $$UPDATE pg_extension SET extversion = '0.9' WHERE extname = 'orgusers'$$, 'error', 'library and extension are of different versions',
    'The library is %, the extension 0.9.', $$UPDATE pg_extension SET extversion = orgusers.version() WHERE extname = 'orgusers'$$);

-- Mail
SELECT finds('no key', 'UPDATE orgusers.mailer_keys SET retired_at = now()', 'warning', 'invitations cannot be mailed', '%', 'UPDATE orgusers.mailer_keys SET retired_at = NULL');
UPDATE orgusers.mailer_keys SET retired_at = now();
SELECT orgusers.add_mailer_key('hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=') \g /dev/null
SELECT healthy('a retired key and one in use');
SELECT orgusers.invite_user(org('spaces'), 'mail@example.org') \g /dev/null
SELECT healthy('mail that has just been enqueued');
SELECT finds('dead mail', $$UPDATE orgusers.mail_outbox SET status = 'dead', last_error = '550 no such user' WHERE recipient = 'mail@example.org'$$, 'warning', 'mail has been given up',
    '1 mails; the latest error: 550 no such user.', 'SELECT orgusers.requeue_mail(org_id, id) FROM orgusers.mail_outbox WHERE recipient = ''mail@example.org''');
SELECT finds('dead mail without an error', $$UPDATE orgusers.mail_outbox SET status = 'dead', last_error = NULL WHERE recipient = 'mail@example.org'$$, 'warning', 'mail has been given up',
    '1 mails; %: none.', 'SELECT orgusers.requeue_mail(org_id, id) FROM orgusers.mail_outbox WHERE recipient = ''mail@example.org''');
-- By the clock, as this transaction can have begun long ago; other mail is for later.
UPDATE orgusers.mail_outbox SET due_at = clock_timestamp() + CASE recipient::text WHEN 'mail@example.org' THEN interval '-10 minutes' ELSE interval '1 day' END
    WHERE status = 'queued';
SELECT healthy('mail that waits for some minutes');
SELECT finds('overdue mail', $$UPDATE orgusers.mail_outbox SET due_at = clock_timestamp() - interval '20 minutes' WHERE recipient = 'mail@example.org'$$, 'error', 'mail is not sent',
    'The mail that waits longest has been due for 00:2%, and no mailer is connected.', $$UPDATE orgusers.mail_outbox SET status = 'sent', sealed_token = NULL WHERE recipient = 'mail@example.org'$$);
SELECT orgusers.invite_user(org('spaces'), 'held@example.org') \g /dev/null
SELECT finds('mail of another installation', $$UPDATE orgusers.mail_outbox SET installation = gen_random_uuid(), due_at = now() - interval '1 day' WHERE recipient = 'held@example.org'$$, 'warning',
    'mail of another installation is held back', '1 mails came with a dump.', 'SELECT orgusers.adopt_mail()');

-- Rules that triggers keep
SELECT finds('too many users', $$SELECT past_triggers(format('INSERT INTO orgusers.memberships (org_id, user_id) SELECT %L, id FROM orgusers.users WHERE id NOT IN (SELECT user_id FROM orgusers.memberships WHERE org_id = %1$L)', org('plans_and_groups')))$$,
    'error', 'a rule does not hold in an organization', format('Organization %s, seats: 8 users have a seat, and the plan Free has 3.', org('plans_and_groups')),
    $$DELETE FROM orgusers.memberships WHERE org_id = org('plans_and_groups') AND user_id NOT IN (SELECT user_id FROM orgusers.membership_roles WHERE org_id = org('plans_and_groups'))$$);
CREATE TEMP TABLE kept AS SELECT mr.* FROM orgusers.membership_roles mr JOIN orgusers.roles r ON r.org_id = mr.org_id AND r.id = mr.role_id
    WHERE mr.org_id = org('spaces') AND r.template = 'organization_admin';
SELECT finds('nobody administers', $$SELECT past_triggers('DELETE FROM orgusers.membership_roles WHERE (org_id, user_id, role_id) IN (SELECT org_id, user_id, role_id FROM kept)')$$,
    'warning', 'a rule does not hold in an organization', format('Organization %s, holders: 0 users hold the role Organization Admin, which has 1 at least.', org('spaces')),
    'INSERT INTO orgusers.membership_roles SELECT * FROM kept');
SELECT finds('more holders than there may be', $$UPDATE orgusers.role_templates SET most_holders = 1 WHERE policy = 'spaces' AND id = 'organization_admin'$$,
    'warning', 'a rule does not hold in an organization', format('Organization %s, holders: 2 users hold the role Organization Admin, which has 1 at least and 1 at most.', org('spaces')),
    $$UPDATE orgusers.role_templates SET most_holders = NULL WHERE policy = 'spaces' AND id = 'organization_admin'$$);
SELECT finds('a raised number', $$UPDATE orgusers.role_templates SET least_holders = 3 WHERE policy = 'spaces' AND id = 'organization_admin'$$,
    'warning', 'a rule does not hold in an organization', '%, holders: 2 users hold the role Organization Admin, which has 3 at least.',
    $$UPDATE orgusers.role_templates SET least_holders = 1 WHERE policy = 'spaces' AND id = 'organization_admin'$$);
SELECT finds('a billing admin who is not active', $$SELECT past_triggers(format('UPDATE orgusers.memberships SET status = ''deactivated'', deactivated_at = now() WHERE org_id = %L AND user_id = %L', org('cases'), person('ann')),
        format('UPDATE orgusers.role_templates SET least_holders = 0 WHERE policy = ''cases'''))$$,
    'error', 'a rule does not hold in an organization', format('Organization %s, billing admin: The billing admin is not an active user.', org('cases')),
    $$UPDATE orgusers.memberships SET status = 'active', deactivated_at = NULL WHERE org_id = org('cases') AND user_id = person('ann');
      UPDATE orgusers.role_templates SET least_holders = 1 WHERE policy = 'cases' AND id = 'administrator'$$);
SELECT finds('a guest in two cases', $$SELECT past_triggers(format('INSERT INTO orgusers.space_members (org_id, space_id, user_id) SELECT s.org_id, s.id, m.user_id FROM orgusers.spaces s JOIN orgusers.memberships m USING (org_id) WHERE s.org_id = %L AND NOT m.holds_seat', org('cases')))$$,
    'warning', 'a rule does not hold in an organization', format('Organization %s, spaces: User %% is assigned to 2 spaces, and a role allows 1.', org('cases')),
    $$DELETE FROM orgusers.space_members WHERE space_id = (SELECT id FROM orgusers.spaces WHERE org_id = org('cases') AND name = 'two')$$);
SELECT finds('an address in two organizations of a tree', $$SELECT past_triggers(format('INSERT INTO orgusers.memberships (org_id, user_id) VALUES (%L, %L)', org('below'), person('ann')))$$,
    'warning', 'a rule does not hold in an organization', format('Organization %s, addresses: Address ann@example.org is used in 2 organizations of the tree.', org('subaccounts')),
    $$DELETE FROM orgusers.memberships WHERE org_id = org('below')$$);
-- No false alarms
INSERT INTO orgusers.organizations (name, policy) VALUES ('bulk', 'spaces');
INSERT INTO orgusers.memberships (org_id, user_id) SELECT org('bulk'), id FROM orgusers.users;
SELECT healthy('an organization whose users have no roles yet');
UPDATE orgusers.role_templates SET least_holders = 1 WHERE policy = 'subaccounts' AND id = 'account_admin';
INSERT INTO orgusers.users (email) VALUES ('member@below.example');
INSERT INTO orgusers.memberships (org_id, user_id) SELECT org('below'), id FROM orgusers.users WHERE email = 'member@below.example';
INSERT INTO orgusers.membership_roles (org_id, user_id, role_id) SELECT m.org_id, m.user_id, r.id FROM orgusers.memberships m JOIN orgusers.roles r ON r.org_id = m.org_id AND r.template = 'member' WHERE m.org_id = org('below');
SELECT healthy('a sub-account that is run from above');
INSERT INTO orgusers.invitations (org_id, email, invited_by, expires_at) VALUES (org('below'), 'member@below.example', person('ann'), now() + interval '1 day');
SELECT healthy('a user who is invited to the same organization');
DELETE FROM orgusers.membership_roles WHERE org_id = org('customer_hub') AND role_id IN (SELECT id FROM orgusers.roles WHERE org_id = org('customer_hub') AND template <> 'admin');
SELECT healthy('users without roles');

-- Broken references are looked for thoroughly only
SELECT past_triggers(format('INSERT INTO orgusers.memberships (org_id, user_id) VALUES (%L, gen_random_uuid())', org('spaces')),
                     'INSERT INTO public.docs VALUES (gen_random_uuid(), 1), (gen_random_uuid(), 2), (NULL, 3)') \g /dev/null
SELECT healthy('a broken reference is not looked for by default', false);
SELECT finds('a broken reference', '', 'error', 'rows refer to what is not there', '% rows of table % break %.',
    'DELETE FROM orgusers.memberships m WHERE NOT EXISTS (SELECT FROM orgusers.users u WHERE u.id = m.user_id); DELETE FROM public.docs', true, 2);
SELECT past_triggers(format('INSERT INTO orgusers.memberships (org_id, user_id) VALUES (%L, gen_random_uuid())', org('spaces')),
                     'INSERT INTO public.docs VALUES (gen_random_uuid(), 1), (gen_random_uuid(), 2), (NULL, 3)') \g /dev/null
SELECT results_eq('SELECT detail FROM orgusers.health_check(true)',
    $$VALUES ('1 rows of table orgusers.memberships break memberships_user_id_fkey.'), ('2 rows of table public.docs break docs_org_id_fkey.')$$, 'which counts the rows');

-- Whose it is
SET LOCAL ROLE regress_ou_server;
SELECT throws_ok('SELECT * FROM orgusers.health_check()', '42501', NULL, 'the health check is for the database''s owner');
SELECT throws_ok('TABLE orgusers.broken_invariants', '42501', NULL, 'and so is the view');

SELECT * FROM finish();
ROLLBACK;
