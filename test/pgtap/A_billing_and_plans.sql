-- Plans, seats and the billing admin under the policy plans_and_groups.
BEGIN;
\ir setup.psql
SELECT no_plan();

SET LOCAL ROLE regress_ou_app;
SELECT act('ann');
DO $$ BEGIN
    PERFORM orgusers.create_my_organization('Acme', 'plans_and_groups');
    PERFORM orgusers.create_group(org('Acme'), 'chiefs', '{ADMIN}');
    PERFORM act('eve');
    PERFORM orgusers.create_my_organization('Other', 'plans_and_groups');
    PERFORM act('ann');
END $$;

-- A statement on one line.
CREATE FUNCTION pg_temp.line(statement text) RETURNS text LANGUAGE sql AS $$ SELECT regexp_replace(statement, '\s+', ' ', 'g') $$;

-- A6: three users, by invitation
SELECT results_eq($$SELECT plan, paid FROM orgusers.billing_contact(org('Acme'))$$, $$VALUES ('free', false)$$, 'A6: an organization begins on the Free plan');
SELECT lives_ok(format('SELECT orgusers.invite_user(org(''Acme''), %L)', who || '@example.org'), 'A6: people are invited beyond the seats: ' || who)
    FROM unnest(ARRAY['bob', 'cyd', 'dan']) who;
SELECT act('bob');
SELECT lives_ok($$SELECT orgusers.accept_my_invitation(org('Acme'), inv('Acme', 'bob'))$$, 'A6: the second user comes');
SELECT act('cyd');
SELECT lives_ok($$SELECT orgusers.accept_my_invitation(org('Acme'), inv('Acme', 'cyd'))$$, 'A6: the third user comes');
SELECT act('dan');
SELECT throws_ok($$SELECT orgusers.accept_my_invitation(org('Acme'), inv('Acme', 'dan'))$$, 'OU301', NULL, 'A6: the fourth user is refused');
SELECT throws_ok(format('SELECT orgusers.accept_invitation(%L)', mail_token('Acme', 'dan')), 'OU301', NULL, 'A6: by the mailed token too');
SELECT is(active('Acme'), 'ann bob cyd', 'A6: there are three users');
SELECT is((SELECT count(*)::int FROM orgusers.my_invitations()), 1, 'A6: and the invitation waits for a seat');
SELECT act('ann');
SELECT throws_ok($$SELECT orgusers.invite_user(org('Acme'), 'fay@example.org')$$, 'OU301', NULL, 'A6: without a seat nobody more is invited');

-- Direct DML by the owner
RESET ROLE;
SELECT is(tried(s), 'OU301', 'A6: refused: ' || pg_temp.line(s)) FROM (VALUES
    ($$INSERT INTO orgusers.memberships (org_id, user_id) VALUES (org('Acme'), person('dan'))$$),
    ($$INSERT INTO orgusers.memberships (org_id, user_id, status) SELECT org('Acme'), person(who), 'active' FROM unnest(ARRAY['dan', 'fay', 'gus']) who$$),
    ($$INSERT INTO orgusers.memberships (org_id, user_id) VALUES (org('Acme'), person('bob')), (org('Acme'), person('dan')) ON CONFLICT DO NOTHING$$),
    ($$INSERT INTO orgusers.memberships (org_id, user_id) VALUES (org('Acme'), person('bob')), (org('Acme'), person('dan')) ON CONFLICT (org_id, user_id) DO UPDATE SET status = 'active'$$),
    ($$MERGE INTO orgusers.memberships t USING (SELECT person('dan') AS id) s ON t.org_id = org('Acme') AND t.user_id = s.id
        WHEN NOT MATCHED THEN INSERT (org_id, user_id) VALUES (org('Acme'), s.id)$$),
    ($$WITH a AS (INSERT INTO orgusers.memberships (org_id, user_id) VALUES (org('Acme'), person('dan')) RETURNING *) SELECT * FROM a$$),
    ($$WITH gone AS (DELETE FROM orgusers.memberships WHERE user_id = person('cyd'))
        INSERT INTO orgusers.memberships (org_id, user_id) SELECT org('Acme'), person(who) FROM unnest(ARRAY['dan', 'fay']) who$$),
    ($$INSERT INTO orgusers.memberships (org_id, user_id, status, deactivated_at) VALUES (org('Acme'), person('dan'), 'deactivated', now());
        UPDATE orgusers.memberships SET status = 'active', deactivated_at = NULL WHERE user_id = person('dan')$$),
    ($$INSERT INTO orgusers.memberships (org_id, user_id) VALUES (org('Other'), person('dan')); UPDATE orgusers.memberships SET org_id = org('Acme') WHERE user_id = person('dan')$$),
    ($$INSERT INTO orgusers.memberships (org_id, user_id) SELECT org('Other'), person(who) FROM unnest(ARRAY['dan', 'fay', 'gus']) who$$),
    ($$SET CONSTRAINTS ALL DEFERRED; INSERT INTO orgusers.memberships (org_id, user_id) VALUES (org('Acme'), person('dan'))$$),
    ($$SET CONSTRAINTS ALL DEFERRED; INSERT INTO orgusers.memberships (org_id, user_id) VALUES (org('Acme'), person('dan')); SET CONSTRAINTS ALL IMMEDIATE$$),
    ($$ALTER TABLE orgusers.memberships ADD CONSTRAINT x CHECK (true); INSERT INTO orgusers.memberships (org_id, user_id) VALUES (org('Acme'), person('dan'))$$)) AS v (s);
SELECT is(tried(s), 'allowed', 'A6: allowed: ' || pg_temp.line(s)) FROM (VALUES
    ($$DELETE FROM orgusers.memberships WHERE user_id = person('cyd'); INSERT INTO orgusers.memberships (org_id, user_id) VALUES (org('Acme'), person('dan'))$$),
    ($$WITH gone AS (DELETE FROM orgusers.memberships WHERE user_id = person('cyd'))
        INSERT INTO orgusers.memberships (org_id, user_id) VALUES (org('Acme'), person('dan'))$$),
    ($$UPDATE orgusers.memberships SET status = 'deactivated', deactivated_at = now() WHERE user_id = person('cyd');
        INSERT INTO orgusers.memberships (org_id, user_id) VALUES (org('Acme'), person('dan'))$$),
    ($$INSERT INTO orgusers.memberships (org_id, user_id, status, deactivated_at) VALUES (org('Acme'), person('dan'), 'deactivated', now())$$),
    ($$SET CONSTRAINTS orgusers.seats DEFERRED; INSERT INTO orgusers.memberships (org_id, user_id) VALUES (org('Acme'), person('dan'));
        DELETE FROM orgusers.memberships WHERE user_id = person('cyd')$$),
    ($$INSERT INTO orgusers.memberships (org_id, user_id) SELECT org('Other'), person(who) FROM unnest(ARRAY['dan', 'fay']) who$$)) AS v (s);

-- Counting is done once for a statement; these are statements within statements.
CREATE FUNCTION pg_temp.brings(org_id uuid, who text, company text) RETURNS uuid LANGUAGE plpgsql AS $$
BEGIN
    IF company IS NOT NULL AND NOT EXISTS (SELECT FROM orgusers.memberships m WHERE m.org_id = brings.org_id AND m.user_id = public.person(company)) THEN
        INSERT INTO orgusers.memberships (org_id, user_id) VALUES (brings.org_id, public.person(company));
    END IF;
    RETURN public.person(who);
END $$;
SELECT is(tried(s), 'OU301', 'A6: refused: ' || pg_temp.line(s)) FROM (VALUES
    ($$INSERT INTO orgusers.memberships (org_id, user_id) SELECT org('Other'), pg_temp.brings(org('Other'), who, NULL) FROM unnest(ARRAY['ann', 'bob', 'cyd', 'dan']) who$$),
    ($$INSERT INTO orgusers.memberships (org_id, user_id) SELECT org('Other'), pg_temp.brings(org('Other'), who, 'gus') FROM unnest(ARRAY['ann', 'bob', 'cyd', 'dan']) who$$),
    ($$INSERT INTO orgusers.memberships (org_id, user_id, status, deactivated_at) SELECT org('Other'), person(who), 'deactivated', now() FROM unnest(ARRAY['ann', 'bob', 'cyd', 'dan']) who;
       UPDATE orgusers.memberships SET status = 'active', deactivated_at = NULL
        WHERE org_id = org('Other') AND status = 'deactivated' AND pg_temp.brings(org('Other'), 'ann', 'gus') IS NOT NULL$$),
    ($$WITH a AS (INSERT INTO orgusers.memberships (org_id, user_id) SELECT org('Other'), person(who) FROM unnest(ARRAY['ann', 'bob']) who RETURNING *)
       INSERT INTO orgusers.memberships (org_id, user_id) SELECT org('Other'), person('gus') FROM (SELECT count(*) FROM a) c$$)) AS v (s);

-- An application's own trigger may change what an UPDATE did not name.
CREATE FUNCTION pg_temp.always_active() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.status := 'active'; NEW.deactivated_at := NULL; RETURN NEW; END $$;
SELECT is(tried($$INSERT INTO orgusers.memberships (org_id, user_id, status, deactivated_at) VALUES (org('Acme'), person('dan'), 'deactivated', now());
    CREATE TRIGGER always_active BEFORE UPDATE ON orgusers.memberships FOR EACH ROW EXECUTE FUNCTION pg_temp.always_active();
    UPDATE orgusers.memberships SET invited_by = person('ann')$$), 'OU301', 'A6: refused: a trigger that reactivates users on an UPDATE of something else');

-- Savepoints: what was counted in one that is rolled back is counted again.
SELECT is(tried($$DO $d$ BEGIN
        DELETE FROM orgusers.memberships WHERE user_id = person('cyd');
        BEGIN
            INSERT INTO orgusers.memberships (org_id, user_id) VALUES (org('Acme'), person('dan'));
            INSERT INTO orgusers.memberships (org_id, user_id) VALUES (org('Acme'), person('fay'));
        EXCEPTION WHEN SQLSTATE 'OU301' THEN NULL;
        END;
        INSERT INTO orgusers.memberships (org_id, user_id) VALUES (org('Acme'), person('dan'));
    END $d$ $$), 'allowed', 'A6: a refused savepoint holds no seat');
SELECT is(tried($$DO $d$ BEGIN
        DELETE FROM orgusers.memberships WHERE user_id = person('cyd');
        BEGIN
            INSERT INTO orgusers.memberships (org_id, user_id) VALUES (org('Acme'), person('dan'));
            RAISE SQLSTATE 'ZZ001';
        EXCEPTION WHEN SQLSTATE 'ZZ001' THEN NULL;
        END;
        INSERT INTO orgusers.memberships (org_id, user_id) VALUES (org('Acme'), person('dan')), (org('Acme'), person('fay'));
    END $d$ $$), 'OU301', 'A6: nor does one that was rolled back lend one');
SELECT is(tried($$DO $d$ BEGIN
        BEGIN
            DELETE FROM orgusers.memberships WHERE user_id = person('cyd');
            INSERT INTO orgusers.memberships (org_id, user_id) VALUES (org('Acme'), person('dan'));
            RAISE SQLSTATE 'ZZ001';
        EXCEPTION WHEN SQLSTATE 'ZZ001' THEN NULL;
        END;
        INSERT INTO orgusers.memberships (org_id, user_id) VALUES (org('Acme'), person('dan'));
    END $d$ $$), 'OU301', 'A6: nor is a removal that was rolled back one');
SELECT is(tried($$SET CONSTRAINTS orgusers.seats DEFERRED;
        DELETE FROM orgusers.memberships WHERE user_id = person('cyd');
        INSERT INTO orgusers.memberships (org_id, user_id) VALUES (org('Acme'), person('dan'));
        SET CONSTRAINTS orgusers.seats IMMEDIATE;
        SET CONSTRAINTS orgusers.seats DEFERRED;
        INSERT INTO orgusers.memberships (org_id, user_id) VALUES (org('Acme'), person('fay'))$$), 'OU301', 'A6: deferred, immediate and deferred again is counted again');

-- COPY
SELECT current_setting('data_directory') || '/pgtap_copy' AS file \gset
COPY (SELECT org('Acme'), person(who) FROM unnest(ARRAY['dan', 'fay']) who) TO :'file';
SELECT is(tried(format('COPY orgusers.memberships (org_id, user_id) FROM %L', :'file')), 'OU301', 'A6: refused: COPY');
COPY (SELECT org('Other'), person(who) FROM unnest(ARRAY['dan', 'fay']) who) TO :'file';
SELECT is(tried(format('COPY orgusers.memberships (org_id, user_id) FROM %L', :'file')), 'allowed', 'A6: COPY up to the seats is not');
SELECT is(active('Acme'), 'ann bob cyd', 'A6: after all this there are the same three users');

-- Reactivation
SET LOCAL ROLE regress_ou_app;
SELECT act('ann');
SELECT lives_ok($$SELECT orgusers.deactivate_user(org('Acme'), person('cyd'))$$, 'A6: a deactivated user holds no seat');
SELECT act('dan');
SELECT lives_ok($$SELECT orgusers.accept_my_invitation(org('Acme'), inv('Acme', 'dan'))$$, 'A6: so the one who waited gets it');
SELECT act('ann');
SELECT throws_ok($$SELECT orgusers.reactivate_user(org('Acme'), person('cyd'))$$, 'OU301', NULL, 'A6: and reactivation is refused');
SELECT is((SELECT status FROM orgusers.list_users(org('Acme'), 'cyd')), 'deactivated', 'A6: and changes nothing');
SELECT lives_ok($$SELECT orgusers.remove_user(org('Acme'), person('dan'))$$, 'A6: removal frees a seat');
SELECT lives_ok($$SELECT orgusers.reactivate_user(org('Acme'), person('cyd'))$$, 'A6: then reactivation takes it');

-- What is deferred by the session is refused by the call all the same.
SET CONSTRAINTS ALL DEFERRED;
SELECT lives_ok($$SELECT orgusers.deactivate_user(org('Acme'), person('cyd'))$$, 'A6: with constraints deferred a user is deactivated');
SELECT enlist('Acme', 'gus');
SELECT throws_ok($$SELECT orgusers.reactivate_user(org('Acme'), person('cyd'))$$, 'OU301', NULL, 'A6: a session that defers constraints is refused in the call as well');
SELECT lives_ok($$SELECT orgusers.remove_user(org('Acme'), person('gus'))$$, 'A6: without the further user');
SELECT lives_ok($$SELECT orgusers.reactivate_user(org('Acme'), person('cyd'))$$, 'A6: it goes');
SET CONSTRAINTS ALL IMMEDIATE;
SET CONSTRAINTS orgusers.holders, orgusers.billing_admin DEFERRED;

-- A3 and A8: no billing admin on the Free plan
SELECT throws_ok($$SELECT orgusers.set_billing_admin(org('Acme'), person('bob'))$$, 'OU302', NULL, 'A3: a free organization has no billing admin');
SELECT results_eq($$SELECT billing_admin_id, email::text FROM orgusers.billing_contact(org('Acme'))$$, $$VALUES (NULL::uuid, NULL::text)$$, 'A3: nor shows one');
SELECT is((SELECT count(*)::int FROM orgusers.list_users(org('Acme')) WHERE is_billing_admin), 0, 'A3: nor marks one');
SET LOCAL ROLE regress_ou_server;
SELECT throws_ok($$SELECT orgusers.set_plan(org('Acme'), 'free', person('bob'))$$, 'OU302', NULL, 'A3: nor is given one with the plan');
SELECT throws_ok($$SELECT orgusers.set_plan(org('Acme'), 'paid')$$, 'OU302', NULL, 'A3: a paid plan needs one');
SELECT throws_ok($$SELECT orgusers.set_plan(org('Acme'), 'paid', person('eve'))$$, 'OU102', NULL, 'A3: who is a user of the organization');
SELECT throws_ok($$SELECT orgusers.set_plan(org('Acme'), 'gold', person('bob'))$$, 'OU105', NULL, 'A3: on a plan that exists');
SELECT throws_ok($$SELECT orgusers.set_plan(gen_random_uuid(), 'paid', person('bob'))$$, 'OU101', NULL, 'A3: of an organization that exists');
SELECT as_owner($$UPDATE orgusers.memberships SET status = 'deactivated', deactivated_at = now() WHERE user_id = person('cyd')$$);
SELECT throws_ok($$SELECT orgusers.set_plan(org('Acme'), 'paid', person('cyd'))$$, 'OU302', NULL, 'A3: and active there');
SELECT as_owner($$UPDATE orgusers.memberships SET status = 'active', deactivated_at = NULL WHERE user_id = person('cyd')$$);
SELECT is(orgusers.billing_addresses(org('Acme')), '{}', 'A9: a free organization has no address for invoices');
SELECT lives_ok($$SELECT orgusers.set_plan(org('Acme'), 'paid', person('bob'))$$, 'A3: a paid plan with a billing admin');
SELECT is(mails('bob'), 'invitation billing_admin_changed', 'A3: who is told by mail');
SELECT is(orgusers.billing_addresses(org('Acme')), '{bob@example.org}', 'A9: whose address invoices go to');
SET LOCAL ROLE regress_ou_app;
SELECT throws_ok($$SELECT orgusers.set_plan(org('Acme'), 'free')$$, '42501', NULL, 'A3: the application''s role changes no plan');
SELECT throws_ok($$SELECT orgusers.billing_addresses(org('Acme'))$$, '42501', NULL, 'A9: nor asks for addresses of any organization');
SELECT act('ann');
SELECT results_eq($$SELECT plan, paid, billing_admin_id, billing_admin, email::text FROM orgusers.billing_contact(org('Acme'))$$,
    $$VALUES ('paid', true, person('bob'), 'Bob', 'bob@example.org')$$, 'A3: the billing admin is shown for the organization');
SELECT results_eq($$SELECT email::text FROM orgusers.list_users(org('Acme')) WHERE is_billing_admin$$, ARRAY['bob@example.org'], 'A3: and marked in the list of users');
SELECT act('bob');
SELECT throws_ok($$SELECT orgusers.set_billing_admin(org('Acme'), person('cyd'))$$, 'OU002', NULL, 'A8: being billing admin is no permission');

-- A8: the change
SELECT act('ann');
SELECT lives_ok($$SELECT orgusers.set_billing_admin(org('Acme'), person('bob'))$$, 'A8: the same one again is no error');
SELECT is(mails('bob'), 'invitation billing_admin_changed', 'A8: and no mail');
SELECT lives_ok($$SELECT orgusers.set_billing_admin(org('Acme'), person('cyd'))$$, 'A8: any user of the organization can be chosen');
SELECT results_eq($$SELECT email::text FROM orgusers.list_users(org('Acme')) WHERE is_billing_admin$$, ARRAY['cyd@example.org'], 'A8: there is exactly one');
SELECT matches(mails('cyd'), ' billing_admin_changed$', 'A8: the new one gets mail');
SELECT is(mails('bob'), 'invitation billing_admin_changed billing_admin_changed', 'A8: and so does the one before');
SELECT lives_ok($$SELECT orgusers.set_billing_admin(org('Acme'), person('ann'))$$, 'A8: also oneself');
SELECT lives_ok($$SELECT orgusers.set_billing_admin(org('Acme'), person('cyd'))$$, 'A8: and back');
SELECT throws_ok($$SELECT orgusers.set_billing_admin(org('Acme'), person('eve'))$$, 'OU102', NULL, 'A8: nobody else can');
SELECT throws_ok($$SELECT orgusers.set_billing_admin(org('Acme'), NULL)$$, 'OU102', NULL, 'A8: nor nobody');
SELECT lives_ok($$SELECT orgusers.deactivate_user(org('Acme'), person('bob'))$$, 'A8: a user is deactivated');
SELECT throws_ok($$SELECT orgusers.set_billing_admin(org('Acme'), person('bob'))$$, 'OU302', NULL, 'A8: who then is not chosen');
SELECT throws_ok($$SELECT orgusers.deactivate_user(org('Acme'), person('cyd'))$$, 'OU302', NULL, 'A8: the billing admin is not deactivated');
SELECT throws_ok($$SELECT orgusers.remove_user(org('Acme'), person('cyd'))$$, 'OU302', NULL, 'A8: nor removed');
SELECT is((SELECT billing_admin FROM orgusers.billing_contact(org('Acme'))), 'Cyd', 'A8: and stays');
SELECT lives_ok($$SELECT orgusers.reactivate_user(org('Acme'), person('bob'))$$, 'A8: back to where it was');
RESET ROLE;
SELECT is(tried(s), code, format('A8: as the owner, %s: %s', code, pg_temp.line(s))) FROM (VALUES
    ('OU302', $$UPDATE orgusers.memberships SET status = 'deactivated', deactivated_at = now() WHERE user_id = person('cyd')$$),
    ('OU302', $$UPDATE orgusers.memberships SET status = 'deactivated', deactivated_at = now() WHERE user_id = person('bob'); UPDATE orgusers.subscriptions SET billing_admin_id = person('bob') WHERE paid$$),
    ('OU302', $$UPDATE orgusers.subscriptions SET billing_admin_id = person('bob') WHERE paid; UPDATE orgusers.memberships SET status = 'deactivated', deactivated_at = now() WHERE user_id = person('bob')$$),
    ('OU302', $$DELETE FROM orgusers.subscriptions WHERE org_id = org('Acme'); UPDATE orgusers.memberships SET status = 'deactivated', deactivated_at = now() WHERE user_id = person('bob');
                INSERT INTO orgusers.subscriptions (org_id, plan, paid, billing_admin_id) VALUES (org('Acme'), 'paid', true, person('bob'))$$),
    ('OU302', $$INSERT INTO orgusers.memberships (org_id, user_id) VALUES (org('Acme'), person('cyd')) ON CONFLICT (org_id, user_id) DO UPDATE SET status = 'deactivated', deactivated_at = now()$$),
    ('OU302', $$MERGE INTO orgusers.memberships t USING (SELECT person('cyd') AS id) s ON t.user_id = s.id WHEN MATCHED THEN UPDATE SET status = 'deactivated', deactivated_at = now()$$),
    ('23503', $$DELETE FROM orgusers.memberships WHERE user_id = person('cyd')$$),
    ('23503', $$DELETE FROM orgusers.users WHERE id = person('cyd')$$),
    ('23503', $$DELETE FROM orgusers.membership_roles WHERE user_id = person('cyd'); UPDATE orgusers.memberships SET org_id = org('Other') WHERE user_id = person('cyd')$$),
    ('23503', $$DELETE FROM orgusers.membership_roles WHERE user_id = person('cyd'); UPDATE orgusers.memberships SET user_id = person('gus') WHERE user_id = person('cyd')$$),
    ('23503', $$UPDATE orgusers.subscriptions SET billing_admin_id = person('eve') WHERE paid$$),
    ('23514', $$UPDATE orgusers.subscriptions SET billing_admin_id = NULL WHERE paid$$),
    ('23514', $$UPDATE orgusers.subscriptions SET billing_admin_id = person('eve') WHERE org_id = org('Other')$$),
    ('23514', $$UPDATE orgusers.subscriptions SET plan = 'free', paid = false WHERE paid$$),
    ('23503', $$UPDATE orgusers.subscriptions SET plan = 'free' WHERE paid$$),
    ('23503', $$UPDATE orgusers.subscriptions SET paid = false, billing_admin_id = NULL WHERE paid$$),
    ('23514', $$UPDATE orgusers.plans SET paid = false WHERE id = 'paid'$$),
    ('23505', $$INSERT INTO orgusers.subscriptions (org_id, plan, paid, billing_admin_id) VALUES (org('Acme'), 'paid', true, person('bob'))$$),
    ('allowed', $$UPDATE orgusers.memberships SET status = 'deactivated', deactivated_at = now() WHERE user_id = person('cyd'); UPDATE orgusers.subscriptions SET billing_admin_id = person('bob') WHERE paid$$),
    ('allowed', $$UPDATE orgusers.subscriptions SET billing_admin_id = person('bob') WHERE paid; DELETE FROM orgusers.memberships WHERE user_id = person('cyd')$$)) AS v (code, s);

-- A9: addresses
SET LOCAL ROLE regress_ou_app;
SELECT act('ann');
SELECT lives_ok($$SELECT orgusers.set_billing_cc(org('Acme'), '{books@example.org,Books@Example.org,tax@example.org,NULL}')$$, 'A9: further addresses are kept');
SELECT is((SELECT cc::text[] FROM orgusers.billing_contact(org('Acme'))), '{books@example.org,tax@example.org}', 'A9: each once, without case');
SET LOCAL ROLE regress_ou_server;
SELECT is(orgusers.billing_addresses(org('Acme'))::text[], '{cyd@example.org,books@example.org,tax@example.org}', 'A9: billing mail goes to the billing admin, and to them');
SELECT lives_ok($$SELECT orgusers.change_email(person('cyd'), 'cydonia@example.org')$$, 'A9: the billing admin''s address changes');
SELECT is(orgusers.billing_addresses(org('Acme'))::text[], '{cydonia@example.org,books@example.org,tax@example.org}', 'A9: and with it where billing mail goes, by itself');
SELECT orgusers.change_email(person('cydonia'), 'cyd@example.org', true);
SET LOCAL ROLE regress_ou_app;
SELECT lives_ok($$SELECT orgusers.set_billing_admin(org('Acme'), person('bob'))$$, 'A9: another billing admin');
SET LOCAL ROLE regress_ou_server;
SELECT is(orgusers.billing_addresses(org('Acme'))::text[], '{bob@example.org,books@example.org,tax@example.org}', 'A9: has the invoices by being it');
SET LOCAL ROLE regress_ou_app;
SELECT lives_ok($$SELECT orgusers.set_billing_cc(org('Acme'), '{BOB@example.org,tax@example.org}')$$, 'A9: the billing admin''s own address among the further ones');
SET LOCAL ROLE regress_ou_server;
SELECT is((SELECT count(*)::int FROM unnest(orgusers.billing_addresses(org('Acme'))) a WHERE a = 'bob@example.org'), 1, 'A9: does not get an invoice twice');
SET LOCAL ROLE regress_ou_app;
SELECT throws_ok($$SELECT orgusers.set_billing_cc(org('Acme'), ARRAY(SELECT ('a' || n || '@example.org')::orgusers.email FROM generate_series(1, 21) n))$$, 'OU106', NULL, 'A9: 21 are too many');
SELECT lives_ok($$SELECT orgusers.set_billing_cc(org('Acme'), ARRAY(SELECT ('a' || n || '@example.org')::orgusers.email FROM generate_series(1, 20) n))$$, 'A9: 20 are not');
SELECT throws_ok($$SELECT orgusers.set_billing_cc(org('Acme'), '{nowhere}')$$, 'OU201', NULL, 'A9: what is no address is refused');
SELECT lives_ok($$SELECT orgusers.set_billing_cc(org('Acme'), NULL)$$, 'A9: NULL keeps none');
SELECT is((SELECT cc::text[] FROM orgusers.billing_contact(org('Acme'))), '{}', 'A9: and none is kept');
SELECT act('bob');
SELECT throws_ok($$SELECT orgusers.set_billing_cc(org('Acme'), '{x@example.org}')$$, 'OU002', NULL, 'A9: a USER sets none');
SELECT act('eve');
SELECT throws_ok($$SELECT orgusers.billing_contact(org('Acme'))$$, 'OU101', NULL, 'A9: others see none');

-- A6: the plan changes
SELECT act('ann');
SELECT lives_ok($$SELECT orgusers.invite_user(org('Acme'), 'fay@example.org')$$, 'A6: on the paid plan there is no cap');
SELECT act('fay');
SELECT lives_ok($$SELECT orgusers.accept_my_invitation(org('Acme'), inv('Acme', 'fay'))$$, 'A6: a fourth user comes');
SET LOCAL ROLE regress_ou_server;
SELECT throws_ok($$SELECT orgusers.set_plan(org('Acme'), 'free')$$, 'OU301', NULL, 'A6: with four users there is no way back to the Free plan');
SELECT is((SELECT plan FROM (SELECT act('ann')) a, orgusers.billing_contact(org('Acme'))), 'paid', 'A6: the plan stays');
SELECT lives_ok($$SELECT orgusers.set_plan(org('Acme'), 'paid')$$, 'A3: the plan it has, without naming the billing admin');
SELECT is((SELECT billing_admin FROM orgusers.billing_contact(org('Acme'))), 'Bob', 'A3: keeps the one there is');
RESET ROLE;
SELECT is(tried(s), code, format('A6: as the owner, %s: %s', code, pg_temp.line(s))) FROM (VALUES
    ('OU301', $$UPDATE orgusers.subscriptions SET plan = 'free', paid = false, billing_admin_id = NULL WHERE org_id = org('Acme')$$),
    ('OU301', $$DELETE FROM orgusers.subscriptions WHERE org_id = org('Acme'); INSERT INTO orgusers.subscriptions (org_id, plan, paid) VALUES (org('Acme'), 'free', false)$$),
    ('OU301', $$DELETE FROM orgusers.subscriptions WHERE org_id = org('Other'); UPDATE orgusers.subscriptions SET org_id = org('Other'), billing_admin_id = person('eve') WHERE org_id = org('Acme');
                INSERT INTO orgusers.subscriptions (org_id, plan, paid) VALUES (org('Acme'), 'free', false)$$),
    ('OU301', $$UPDATE orgusers.plans SET seats = 3 WHERE id = 'paid'$$),
    ('OU301', $$UPDATE orgusers.plans SET seats = 3$$),
    ('OU301', $$UPDATE orgusers.plans SET id = 'dear', seats = 3 WHERE id = 'paid'$$),
    ('OU301', $$UPDATE orgusers.plans SET seats = 4 WHERE id = 'paid'; INSERT INTO orgusers.memberships (org_id, user_id) VALUES (org('Acme'), person('gus'))$$),
    ('OU301', $$SET CONSTRAINTS ALL DEFERRED; INSERT INTO orgusers.memberships (org_id, user_id) VALUES (org('Acme'), person('gus')); UPDATE orgusers.plans SET seats = 4 WHERE id = 'paid'$$),
    ('OU301', $$INSERT INTO orgusers.plans VALUES ('small', 'Small', true, 3); UPDATE orgusers.subscriptions SET plan = 'small' WHERE paid$$),
    ('OU301', $$INSERT INTO orgusers.memberships (org_id, user_id) VALUES (org('Acme'), person('gus')); UPDATE orgusers.plans SET seats = 4 WHERE id = 'paid'$$),
    ('23514', $$UPDATE orgusers.plans SET seats = 0 WHERE id = 'paid'$$),
    ('allowed', $$UPDATE orgusers.plans SET seats = 4 WHERE id = 'paid'$$),
    ('allowed', $$UPDATE orgusers.plans SET id = 'dear' WHERE id = 'paid'$$),
    ('allowed', $$UPDATE orgusers.plans SET seats = NULL$$),
    ('allowed', $$DELETE FROM orgusers.memberships WHERE user_id = person('fay');
                  UPDATE orgusers.subscriptions SET plan = 'free', paid = false, billing_admin_id = NULL WHERE org_id = org('Acme')$$)) AS v (code, s);
SET LOCAL ROLE regress_ou_app;
SELECT act('ann');
SELECT lives_ok($$SELECT orgusers.remove_user(org('Acme'), person('fay'))$$, 'A6: with three users');
SET LOCAL ROLE regress_ou_server;
SELECT lives_ok($$SELECT orgusers.set_plan(org('Acme'), 'free')$$, 'A6: there is a way back to the Free plan');
SELECT is((SELECT count(*)::int FROM orgusers.list_users(org('Acme')) WHERE is_billing_admin), 0, 'A3: where the billing admin ends');
SELECT lives_ok($$SELECT orgusers.remove_user(org('Acme'), person('bob'))$$, 'A3: and can be removed');
SELECT lives_ok($$SELECT orgusers.set_plan(org('Acme'), 'free')$$, 'A3: the plan it has is no error');

-- Seats that pending invitations hold, where the policy says so
SELECT as_owner($$UPDATE orgusers.policies SET pending_holds_seat = true$$);
SELECT is(active('Acme'), 'ann cyd', 'A6: two users, one seat');
SELECT lives_ok($$SELECT orgusers.invite_user(org('Acme'), 'fay@example.org')$$, 'A6: a pending invitation holds it');
SELECT throws_ok($$SELECT orgusers.invite_user(org('Acme'), 'gus@example.org')$$, 'OU301', NULL, 'A6: so nobody else is invited');
SELECT as_owner($$UPDATE orgusers.invitations SET expires_at = clock_timestamp() - interval '1 second' WHERE id = inv('Acme', 'fay')$$);
SELECT lives_ok($$SELECT orgusers.invite_user(org('Acme'), 'gus@example.org')$$, 'A6: an expired one holds none');
SELECT throws_ok($$SELECT orgusers.resend_invitation(org('Acme'), inv('Acme', 'fay'))$$, 'OU301', NULL, 'A6: nor takes one beyond the seats when it is sent again');
SELECT act('gus');
SELECT lives_ok($$SELECT orgusers.accept_my_invitation(org('Acme'), inv('Acme', 'gus'))$$, 'A6: who is invited has the seat');

-- A default plan that is paid
SELECT as_owner($$UPDATE orgusers.policies SET default_plan = 'paid'$$);
SELECT act('dan');
SELECT lives_ok($$SELECT orgusers.create_my_organization('Gold', 'plans_and_groups')$$, 'A3: an organization that begins on a paid plan');
SELECT is((SELECT billing_admin FROM orgusers.billing_contact(org('Gold'))), 'Dan', 'A3: has its founder as billing admin');
SELECT throws_ok($$SELECT orgusers.remove_user(org('Gold'), person('dan'))$$, 'OU302', NULL, 'A3: who stays');
SELECT lives_ok($$SELECT orgusers.delete_organization(org('Gold'))$$, 'A3: but can delete it');


-- Without any plan
SELECT lives_ok($$SELECT orgusers.create_my_organization('Bare', 'plans_and_groups')$$, 'A6: an organization');
SELECT as_owner($$DELETE FROM orgusers.subscriptions WHERE org_id = org('Bare')$$);
SELECT is_empty($$SELECT * FROM orgusers.billing_contact(org('Bare'))$$, 'A9: whose plan the owner has taken away has no billing contact');
SELECT throws_ok($$SELECT orgusers.set_billing_cc(org('Bare'), '{x@example.org}')$$, 'OU105', NULL, 'A9: nor further addresses');
SELECT throws_ok($$SELECT orgusers.set_billing_admin(org('Bare'), person('dan'))$$, 'OU302', NULL, 'A8: nor a billing admin');
SELECT is(orgusers.billing_addresses(org('Bare')), NULL, 'A9: nor addresses for invoices');
SELECT lives_ok($$SELECT orgusers.set_plan(org('Bare'), 'free')$$, 'A6: until it gets a plan');

SELECT * FROM finish();
ROLLBACK;
