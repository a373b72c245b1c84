-- The policy cases: four levels, cases as spaces, seats with a price, deactivation.
BEGIN;
\ir setup.psql
SELECT orgusers.install_cases('Briefs', 'https://briefs.example/invitation#{{token}}', 'no-reply@briefs.example');
-- What the application has beside the rule-book's own permissions.
SELECT orgusers.register_permission('documents.read', 'Read the documents of a case', 'space'),
       orgusers.register_permission('templates.manage', 'Make templates of contacts, issues and sources');
INSERT INTO orgusers.role_template_permissions
    SELECT 'cases', id, 'documents.read' FROM orgusers.role_templates WHERE policy = 'cases' UNION ALL VALUES ('cases', 'administrator', 'templates.manage');
SELECT no_plan();

SET LOCAL ROLE regress_ou_app;
DO $$
DECLARE
    who text;
BEGIN
    PERFORM act('ann');
    PERFORM orgusers.create_my_organization('Firm', 'cases');
    PERFORM orgusers.create_space(org('Firm'), 'Able v. Baker');
    PERFORM orgusers.create_space(org('Firm'), 'Charlie v. Dog');
    PERFORM orgusers.invite_user(org('Firm'), 'bob@example.org', '{Account Administrator}');
    PERFORM orgusers.invite_user(org('Firm'), 'cyd@example.org', '{Standard}');
    PERFORM orgusers.invite_user(org('Firm'), 'dan@example.org', '{Limited}');
    PERFORM orgusers.invite_user(org('Firm'), 'eve@example.org', '{Guest}');
    FOREACH who IN ARRAY ARRAY['bob', 'cyd', 'dan', 'eve'] LOOP
        PERFORM act(who);
        PERFORM orgusers.accept_my_invitation(org_id, id) FROM orgusers.my_invitations();
    END LOOP;
END $$;

-- All cases, whoever asks.
RESET ROLE;
CREATE FUNCTION cases() RETURNS SETOF orgusers.spaces LANGUAGE sql SECURITY DEFINER AS $$ SELECT * FROM orgusers.spaces WHERE org_id = org('Firm') $$;
SET LOCAL ROLE regress_ou_app;
-- What somebody sees: cases / documents of these / documents of no case
CREATE FUNCTION pg_temp.sees(who text) RETURNS text LANGUAGE sql AS $$
    SELECT act(who);
    SELECT format('%s / %s / %s', (SELECT string_agg(left(name, 1), '' ORDER BY name) FROM orgusers.spaces),
        (SELECT string_agg(left(s.name, 1), '' ORDER BY s.name) FROM cases() s WHERE orgusers.can(org('Firm'), s.id, 'documents.read')),
        orgusers.can(org('Firm'), NULL, 'documents.read')) $$;

-- C1: levels
SELECT set_eq($$SELECT name FROM orgusers.role_templates WHERE policy = 'cases'$$, ARRAY['Account Administrator', 'Standard', 'Limited', 'Guest'], 'C1: there are four levels');
SELECT is(active('Firm'), 'ann bob cyd dan eve', 'C1: somebody on each');
SELECT is(pg_temp.sees('ann'), 'AC / AC / t', 'C1: an Account Administrator sees all cases and data');
SELECT is(pg_temp.sees('cyd'), 'AC / AC / t', 'C1: so does a Standard user');
SELECT is(pg_temp.sees('dan'), ' /  / f', 'C4: a Limited user has no access before being assigned');
SELECT is(pg_temp.sees('eve'), ' /  / f', 'C4: nor has a Guest');
SELECT is(orgusers.access_state(org('Firm')), 'none', 'C4: the state of access says so');
SELECT throws_ok(format('SELECT * FROM orgusers.list_space_users(org(%L), %L)', 'Firm', 'Able v. Baker'), 'OU111', NULL, 'C4: and the people of a case are not shown');

-- Account settings: what each call is answered for each level but the first.
CREATE TEMP TABLE settings (what text, statement text);
INSERT INTO settings VALUES
    ('the organization''s name', 'orgusers.rename_organization(o, ''Mine'')'), ('deleting the account', 'orgusers.delete_organization(o)'),
    ('the list of users', 'orgusers.list_users(o)'), ('the list of invitations', 'orgusers.list_invitations(o)'),
    ('inviting', 'orgusers.invite_user(o, ''x@example.org'', ''{Guest}'')'), ('resending', 'orgusers.resend_invitation(o, inv(''Firm'', ''cyd''))'),
    ('links', 'orgusers.invitation_link(o, inv(''Firm'', ''cyd''))'), ('withdrawing', 'orgusers.cancel_invitation(o, inv(''Firm'', ''cyd''))'),
    ('levels', 'orgusers.set_user_roles(o, person(''dan''), ''{Standard}'')'), ('the own level', 'orgusers.set_user_roles(o, orgusers.current_user_id(), ''{Account Administrator}'')'),
    ('deactivation', 'orgusers.deactivate_user(o, person(''bob''))'), ('reactivation', 'orgusers.reactivate_user(o, person(''bob''))'),
    ('removal', 'orgusers.remove_user(o, person(''bob''))'), ('the audit trail', 'orgusers.list_audit(o)'),
    ('payment data', 'orgusers.billing_contact(o)'), ('the billing admin', 'orgusers.set_billing_admin(o, orgusers.current_user_id())'),
    ('billing addresses', 'orgusers.set_billing_cc(o, ''{x@example.org}'')'), ('statements', 'orgusers.billing_statement(o, current_date)'),
    ('the subscription', 'orgusers.require(o, ''subscription.manage'')'), ('templates', 'orgusers.require(o, ''templates.manage'')');
CREATE FUNCTION pg_temp.outcome(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'SELECT ' || regexp_replace(statement, '\mo\M', quote_literal(org('Firm')) || '::uuid');
    RAISE EXCEPTION USING ERRCODE = 'Z0001', MESSAGE = 'yes';
EXCEPTION WHEN SQLSTATE 'Z0001' THEN RETURN SQLERRM;
          WHEN OTHERS THEN RETURN SQLSTATE;
END $$;
SELECT act('cyd');
SELECT is(pg_temp.outcome(statement), 'OU002', 'C1: a Standard user is refused ' || what) FROM settings;
SELECT act('dan');
SELECT is(pg_temp.outcome(statement), 'OU002', 'C1: a Limited user is refused ' || what) FROM settings;
SELECT act('eve');
SELECT is(pg_temp.outcome(statement), 'OU002', 'C1: a Guest is refused ' || what) FROM settings;
SELECT act('gus');
SELECT is(pg_temp.outcome(statement), 'OU101', 'C1: an outsider is refused ' || what) FROM settings;
SELECT is_empty($$SELECT FROM orgusers.subscriptions$$, 'C9: nor are payment data shown in the table');
SELECT act('cyd');
SELECT is_empty($$SELECT FROM orgusers.subscriptions$$, 'C9: to a Standard user either');
SELECT act('bob');
SELECT is(pg_temp.outcome(statement), 'yes', 'C9: an Account Administrator has ' || what) FROM settings
    WHERE what IN ('payment data', 'the billing admin', 'billing addresses', 'statements', 'the subscription', 'templates', 'levels', 'the list of users', 'inviting', 'the audit trail');
SELECT is((SELECT billing_admin FROM orgusers.billing_contact(org('Firm'))), 'Ann', 'C9: the founder answers for billing');

-- C4 and C1: assignment
SELECT act('cyd');
SELECT is(pg_temp.outcome('orgusers.create_space(o, ''Easy v. Fox'')'), 'yes', 'C1: a Standard user makes cases');
SELECT lives_ok($$SELECT orgusers.assign_spaces(org('Firm'), person('dan'), '{Able v. Baker}')$$, 'C4: and assigns one to a Limited user');
SELECT is(pg_temp.sees('dan'), 'A / A / f', 'C4: who sees that case and its data, and nothing else');
SELECT is(orgusers.access_state(org('Firm')), 'full', 'C4: and has access');
SELECT is(pg_temp.outcome('orgusers.create_space(o, ''Easy v. Fox'')'), 'OU002', 'C1: a Limited user makes no cases');
SELECT throws_ok($$SELECT orgusers.assign_spaces(org('Firm'), person('dan'), '{Charlie v. Dog}')$$, 'OU002', NULL, 'C4: nor takes a further one');
SELECT act('ann');
SELECT lives_ok($$SELECT orgusers.assign_spaces(org('Firm'), person('dan'), '{Charlie v. Dog}')$$, 'C1: a Limited user is assigned to several cases');
SELECT is(pg_temp.sees('dan'), 'AC / AC / f', 'C1: and sees these');
SELECT act('ann');
SELECT lives_ok($$SELECT orgusers.assign_spaces(org('Firm'), person('eve'), '{Charlie v. Dog}')$$, 'C1: a Guest is assigned to a case');
SELECT is(pg_temp.sees('eve'), 'C / C / f', 'C1: and sees it');
SELECT act('ann');
SELECT throws_ok($$SELECT orgusers.assign_spaces(org('Firm'), person('eve'), '{Able v. Baker}')$$, 'OU306', NULL, 'C1: but not to a second one');
SELECT throws_ok($$SELECT orgusers.set_user_spaces(org('Firm'), person('eve'), '{Able v. Baker,Charlie v. Dog}')$$, 'OU306', NULL, 'C1: in one call neither');
RESET ROLE;
SELECT throws_ok($$SELECT and_commit($s$INSERT INTO orgusers.space_members SELECT org_id, id, person('eve') FROM orgusers.spaces WHERE name = 'Able v. Baker'$s$)$$, 'OU306', NULL, 'C1: nor by the owner');
SET LOCAL ROLE regress_ou_app;
SELECT lives_ok($$SELECT orgusers.set_user_spaces(org('Firm'), person('eve'), '{Able v. Baker}')$$, 'C1: a Guest''s case is exchanged for another');
SELECT throws_ok($$SELECT orgusers.set_user_roles(org('Firm'), person('dan'), '{Guest}')$$, 'OU306', NULL, 'C1: who has two cases does not become a Guest');
SELECT throws_ok($$SELECT orgusers.set_user_roles(org('Firm'), person('eve'), '{Guest,Standard}')$$, 'OU113', NULL, 'C1: a Guest is nothing beside it');
SELECT lives_ok($$SELECT orgusers.invite_user(org('Firm'), 'fay@example.org', '{Guest}')$$, 'C4: a Guest is invited');
SELECT throws_ok($$SELECT orgusers.set_invitation_spaces(org('Firm'), inv('Firm', 'fay'), '{Able v. Baker,Charlie v. Dog}')$$, 'OU306', NULL, 'C1: for one case');
SELECT lives_ok($$SELECT orgusers.set_invitation_spaces(org('Firm'), inv('Firm', 'fay'), '{Charlie v. Dog}')$$, 'C4: which may be named before the person has registered');
SELECT act('fay');
SELECT lives_ok($$SELECT orgusers.accept_my_invitation(org_id, id) FROM orgusers.my_invitations()$$, 'C4: and is there when they have');
SELECT is(pg_temp.sees('fay'), 'C / C / f', 'C4: at once');

-- C1: free.  A plan with as many seats as there are others.
SELECT as_owner($$INSERT INTO orgusers.plans (id, title, paid, seats) VALUES ('four', 'Four', true, 4)$$);
SELECT as_owner($$SELECT orgusers.set_plan(org('Firm'), 'four')$$);
SELECT act('ann');
SELECT lives_ok($$SELECT orgusers.invite_user(org('Firm'), 'gus@example.org', '{Guest}')$$, 'C1: on a full plan a Guest is invited all the same');
SELECT throws_ok($$SELECT orgusers.invite_user(org('Firm'), 'x@example.org', '{Limited}')$$, 'OU301', NULL, 'C1: where nobody else is');
SELECT act('gus');
SELECT lives_ok($$SELECT orgusers.accept_my_invitation(org_id, id) FROM orgusers.my_invitations()$$, 'C1: and accepts, since a Guest takes no seat');
SELECT act('ann');
SELECT throws_ok($$SELECT orgusers.set_user_roles(org('Firm'), person('gus'), '{Limited}')$$, 'OU301', NULL, 'C1: but does not become Limited without one');

-- C2: 30 days
SELECT lives_ok($$SELECT orgusers.deactivate_user(org('Firm'), person('dan'))$$, 'C6: a seat is freed');
SELECT as_owner($$SELECT orgusers.register_user('kim@example.org', 'Kim', email_verified => true)$$);
SELECT lives_ok($$SELECT orgusers.invite_user(org('Firm'), 'kim@example.org', '{Limited}')$$, 'C6: for somebody else to be invited');
SELECT is((SELECT expires_at - created_at > interval '29 days 23 hours' AND expires_at < clock_timestamp() + interval '30 days' FROM orgusers.list_invitations(org('Firm'), 'pending') WHERE email = 'kim@example.org'), true, 'C2: an invitation is good for 30 days');
SELECT as_owner($$UPDATE orgusers.invitations SET expires_at = clock_timestamp() WHERE email = 'kim@example.org'$$);
SELECT is((SELECT status FROM orgusers.list_invitations(org('Firm')) WHERE email = 'kim@example.org'), 'expired', 'C2: and expires by itself');
SELECT act('kim');
SELECT is_empty('SELECT * FROM orgusers.my_invitations()', 'C2: is shown no more');
SELECT throws_ok($$SELECT orgusers.accept_invitation(mail_token('Firm', 'kim')::orgusers.invitation_token)$$, 'OU204', NULL, 'C2: nor accepted');
SELECT act('ann');
SELECT lives_ok($$SELECT orgusers.resend_invitation(org('Firm'), inv('Firm', 'kim'))$$, 'C3: it is sent again');
SELECT is((SELECT expires_at > clock_timestamp() + interval '29 days' FROM orgusers.list_invitations(org('Firm'), 'pending') WHERE email = 'kim@example.org'), true, 'C2: for another 30 days');

-- C3: links
CREATE TEMP TABLE kept AS SELECT mail_token('Firm', 'kim') AS mailed, ''::text AS copied;
UPDATE kept SET copied = link_token(orgusers.invitation_link(org('Firm'), inv('Firm', 'kim')));
SELECT is((SELECT status FROM kept, orgusers.preview_invitation(mailed::orgusers.invitation_token)), 'pending', 'C3: the link already sent works beside a copied one');
SELECT is((SELECT status FROM kept, orgusers.preview_invitation(copied::orgusers.invitation_token)), 'pending', 'C3: which works, too');
SELECT isnt((SELECT copied FROM kept), (SELECT mailed FROM kept), 'C3: they are two');
SELECT lives_ok($$SELECT orgusers.resend_invitation(org('Firm'), inv('Firm', 'kim'))$$, 'C3: sent again');
SELECT throws_ok($$SELECT * FROM kept, orgusers.preview_invitation(mailed::orgusers.invitation_token)$$, 'OU203', NULL, 'C3: the link sent before ends');
SELECT is((SELECT status FROM kept, orgusers.preview_invitation(copied::orgusers.invitation_token)), 'pending', 'C3: the copied one stays');
SELECT lives_ok($$SELECT orgusers.cancel_invitation(org('Firm'), inv('Firm', 'kim'))$$, 'C3: the invitation is deleted');
SELECT act('kim');
SELECT throws_ok($$SELECT orgusers.accept_invitation(copied::orgusers.invitation_token) FROM kept$$, 'OU205', NULL, 'C3: and no link opens it');
SELECT act('ann');
SELECT lives_ok($$SELECT orgusers.remove_invitation(org('Firm'), inv('Firm', 'kim'))$$, 'C3: it is taken off the list');
SELECT throws_ok($$SELECT orgusers.invitation_link(org('Firm'), inv('Firm', 'cyd'))$$, 'OU205', NULL, 'C3: links are for pending invitations only');

-- C5, C6, C8: deactivated
SELECT results_eq($$SELECT display_name, status FROM orgusers.list_users(org('Firm')) WHERE display_name IN ('Cyd', 'Dan')$$, $$VALUES ('Cyd', 'active'), ('Dan', 'deactivated')$$, 'C5: administrators list active and inactive users');
SELECT results_eq($$SELECT display_name FROM orgusers.list_users(org('Firm'), statuses => '{deactivated}')$$, ARRAY['Dan'], 'C5: or either');
SELECT throws_ok($$SELECT orgusers.deactivate_user(org('Firm'), person('ann'))$$, 'OU109', NULL, 'C6: nobody deactivates themselves');
SELECT act('bob');
SELECT throws_ok($$SELECT orgusers.deactivate_user(org('Firm'), person('ann'))$$, 'OU302', NULL, 'C6: nor anybody the billing admin');
SELECT throws_ok($$SELECT orgusers.remove_user(org('Firm'), person('dan'))$$, 'OU002', NULL, 'C8: users are deactivated, not removed');
SELECT is(pg_temp.sees('dan'), ' /  / f', 'C6: a deactivated user sees no case');
SELECT ok(NOT orgusers.is_member(org('Firm')), 'C6: is no active user');
SELECT throws_ok(format('SELECT orgusers.%s', call), 'OU101', NULL, 'C6: and cannot act: ' || call) FROM unnest(ARRAY[
    $$list_space_users(org('Firm'), 'Able v. Baker')$$, $$switch_organization(org('Firm'))$$, $$list_users(org('Firm'))$$, $$reactivate_user(org('Firm'), person('dan'))$$]) call;
SELECT is(orgusers.access_state(org('Firm')), 'none', 'C6: has no access');
SELECT act('cyd');
SELECT results_eq($$SELECT display_name, status FROM orgusers.list_space_users(org('Firm'), 'Able v. Baker') ORDER BY display_name$$,
    $$VALUES ('Dan', 'deactivated'), ('Eve', 'active')$$, 'C8: but stays listed on every case assigned');
SELECT act('fay');
SELECT throws_ok($$SELECT orgusers.unassign_spaces(org('Firm'), person('dan'), '{Charlie v. Dog}')$$, 'OU002', NULL, 'C8: a Guest takes nobody off a case');
SELECT act('dan');
SELECT throws_ok($$SELECT orgusers.unassign_spaces(org('Firm'), person('dan'), '{Charlie v. Dog}')$$, 'OU101', NULL, 'C8: nor the deactivated one themselves');
SELECT act('cyd');
SELECT lives_ok($$SELECT orgusers.unassign_spaces(org('Firm'), person('dan'), '{Charlie v. Dog}')$$, 'C8: until an active member takes them off');
SELECT act('ann');
SELECT is((SELECT spaces FROM orgusers.list_users(org('Firm'), 'dan')), '{Able v. Baker}', 'C8: one by one');

-- C7: reactivation
SELECT lives_ok($$SELECT orgusers.invite_user(org('Firm'), 'kim@example.org', '{Standard}')$$, 'C7: the seat is given to another');
SELECT act('kim');
SELECT lives_ok($$SELECT orgusers.accept_my_invitation(org_id, id) FROM orgusers.my_invitations()$$, 'C7: who takes it');
SELECT act('ann');
SELECT throws_ok($$SELECT orgusers.reactivate_user(org('Firm'), person('dan'))$$, 'OU301', NULL, 'C7: without a seat there is no reactivation');
SELECT as_owner($$UPDATE orgusers.plans SET seats = 5 WHERE id = 'four'$$);
SELECT lives_ok($$SELECT orgusers.reactivate_user(org('Firm'), person('dan'))$$, 'C7: with one there is, at any later time');
SELECT is(pg_temp.sees('dan'), 'A / A / f', 'C7: with the level and the cases that are left');
SELECT act('ann');
SELECT throws_ok($$SELECT orgusers.invite_user(org('Firm'), 'x@example.org', '{Standard}')$$, 'OU301', NULL, 'C7: and the seat is taken');

-- C9: levels
SELECT lives_ok($$SELECT orgusers.set_user_roles(org('Firm'), person('dan'), '{Standard}')$$, 'C9: a level is raised');
SELECT is(pg_temp.sees('dan'), 'AC / AC / t', 'C9: and holds at once');
SELECT act('ann');
SELECT lives_ok($$SELECT orgusers.set_user_roles(org('Firm'), person('dan'), '{Limited}')$$, 'C9: and lowered');
SELECT is(pg_temp.sees('dan'), 'A / A / f', 'C9: with the case that was assigned');
SELECT act('ann');
SELECT as_owner($$UPDATE orgusers.plans SET seats = 6 WHERE id = 'four'$$);
SELECT lives_ok($$SELECT orgusers.set_user_roles(org('Firm'), person('eve'), '{Account Administrator}')$$, 'C9: a Guest becomes an Account Administrator');
SELECT act('eve');
SELECT is(pg_temp.outcome('orgusers.require(o, ''templates.manage'')'), 'yes', 'C9: with templates and payment data');
SELECT lives_ok($$SELECT orgusers.set_user_roles(org('Firm'), person('bob'), '{Standard}')$$, 'C9: and demotes another');
SELECT lives_ok($$SELECT orgusers.set_user_roles(org('Firm'), person('ann'), '{Standard}')$$, 'C9: and another');
SELECT throws_ok($$SELECT orgusers.set_user_roles(org('Firm'), person('eve'), '{Standard}')$$, 'OU303', NULL, 'C9: but an account keeps an Account Administrator');

-- C6, C7: billing, in an account that began a month ago.  Half of that month was cyd's last.
SELECT act('gus');
SELECT orgusers.create_my_organization('Partners', 'cases') AS partners \gset
SELECT orgusers.invite_user(:'partners', (who || '@example.org')::orgusers.email, ARRAY[level]) IS NOT NULL AS invited
    FROM (VALUES ('cyd', 'Standard'), ('dan', 'Limited'), ('eve', 'Guest')) AS v (who, level) \g /dev/null
SELECT format('SELECT act(%L); SELECT orgusers.accept_my_invitation(org_id, id) IS NOT NULL AS accepted FROM orgusers.my_invitations() WHERE organization = ''Partners''', who) FROM unnest(ARRAY['cyd', 'dan', 'eve']) who \gexec
RESET ROLE;
SET LOCAL timezone = 'UTC';
SELECT date_trunc('month', now(), 'UTC') AS this, date_trunc('month', now(), 'UTC') - interval '1 month' AS last \gset
UPDATE orgusers.subscriptions SET since = :'last' WHERE org_id = :'partners';
UPDATE orgusers.memberships SET seat_since = :'last' WHERE org_id = :'partners';
UPDATE orgusers.memberships SET status = 'deactivated', deactivated_at = :'last'::timestamptz + (:'this'::timestamptz - :'last') / 2, seat_since = :'last'::timestamptz + (:'this'::timestamptz - :'last') / 2
    WHERE org_id = :'partners' AND user_id = person('cyd');
SET LOCAL ROLE regress_ou_app;
SELECT act('gus');
CREATE FUNCTION pg_temp.bill(day date) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', kind, split_part(email::text, '@', 1), amount), ', ') FROM orgusers.billing_statement(org('Partners'), day) $$;
SELECT is(pg_temp.bill(:'last'::date), 'seat cyd 30.00, seat dan 30.00, seat gus 30.00, deactivation cyd 15.00, due 90.00, carry 15.00', 'C6: the unused half is a credit and no refund: the month is billed');
SELECT is(pg_temp.bill(:'this'::date), 'carried 15.00, seat dan 30.00, seat gus 30.00, used -15.00, due 45.00', 'C6: the next one without the deactivated user, and less the credit; a Guest is on neither');
SELECT lives_ok($$SELECT orgusers.deactivate_user(org('Partners'), person('dan'))$$, 'C6: another is deactivated in the running month');
SELECT matches(pg_temp.bill(:'this'::date), '^carried 15.00, seat dan 30.00, seat gus 30.00, deactivation dan [0-9.]+, used -15.00, due 45.00, carry [0-9.]+$', 'C6: whose credit leaves what is due, and goes to the next one');
SELECT is((SELECT amount FROM orgusers.billing_statement(org('Partners'), :'this'::date) WHERE kind = 'carry'), (SELECT amount FROM orgusers.billing_statement(org('Partners'), :'this'::date) WHERE kind = 'deactivation'), 'C6: whole');
SELECT lives_ok($$SELECT orgusers.reactivate_user(org('Partners'), person('cyd'))$$, 'C7: who was deactivated comes back');
SELECT results_eq(format($$SELECT starts_at, ends_at, price, amount = round(quantity * 30, 2) FROM orgusers.billing_statement(org('Partners'), %L) WHERE kind = 'activation' AND email = 'cyd@example.org'$$, :'this'::date),
    format($$VALUES (now(), %L::timestamptz, 30.00::numeric, true)$$, :'this'::timestamptz + interval '1 month'), 'C7: and is billed for the rest of the period');
SELECT is((SELECT sum(amount) FILTER (WHERE kind IN ('seat', 'activation')) - 15 - sum(amount) FILTER (WHERE kind = 'due') FROM orgusers.billing_statement(org('Partners'), :'this'::date)), 0.00, 'C7: which is due with the others');
SELECT act('eve');
SELECT throws_ok($$SELECT * FROM orgusers.billing_statement(org('Partners'), current_date)$$, 'OU002', NULL, 'C9: others are shown no statement');

SELECT * FROM finish();
ROLLBACK;
