-- Free roles, the ledger of seats, and what is billed for them.
BEGIN;
\ir setup.psql
SELECT no_plan();

-- GUEST is free; on the plan free three seats can be taken.
INSERT INTO orgusers.role_templates (policy, id, name, holds_seat, all_spaces, most_spaces) VALUES ('plans_and_groups', 'guest', 'GUEST', false, false, 1);
INSERT INTO orgusers.role_template_grants VALUES ('plans_and_groups', 'admin', 'guest');
INSERT INTO orgusers.role_template_permissions VALUES ('plans_and_groups', 'guest', 'organization.view');
INSERT INTO orgusers.plans (id, title, paid, seat_price, currency, billing_period) VALUES
    ('team', 'Team', true, 30, 'USD', 'month'), ('large', 'Large', true, 60, 'USD', 'month'), ('yearly', 'Yearly', true, 366, 'USD', 'year'), ('euro', 'Euro', true, 7, 'EUR', 'month');
INSERT INTO orgusers.plans (id, title, paid, seats) VALUES ('four', 'Four', false, 4);

SET LOCAL ROLE regress_ou_app;
SELECT act('ann');
DO $$ BEGIN
    PERFORM orgusers.create_my_organization('Acme', 'plans_and_groups', 'America/New_York');
    PERFORM orgusers.create_group(org('Acme'), 'ops');
    PERFORM orgusers.create_space(org('Acme'), 'room');
    PERFORM enlist('Acme', 'bob');
    PERFORM enlist('Acme', 'cyd');
END $$;

-- C1: invitations
SELECT throws_ok($$SELECT orgusers.invite_user(org('Acme'), 'dan@example.org', '{USER}')$$, 'OU301', NULL, 'C1: with all seats taken nobody is invited to one');
SELECT lives_ok(format($$SELECT orgusers.invite_user(org('Acme'), '%s@example.org', '{GUEST}')$$, who), 'C1: but guests are: ' || who) FROM unnest(ARRAY['dan', 'eve', 'fay']) who;
SELECT throws_ok($$SELECT orgusers.invite_user(org('Acme'), 'gus@example.org', '{GUEST,USER}')$$, 'OU113', NULL, 'C1: a guest has no other role that takes a seat');
SELECT throws_ok($$SELECT orgusers.invite_user(org('Acme'), 'gus@example.org', '{GUEST}', '{ops}')$$, 'OU113', NULL, 'C1: and is in no group');
SELECT act('dan');
SELECT lives_ok($$SELECT orgusers.accept_my_invitation(org('Acme'), inv('Acme', 'dan'))$$, 'C1: a guest comes when all seats are taken');
SELECT act('eve');
SELECT lives_ok($$SELECT orgusers.accept_my_invitation(org('Acme'), inv('Acme', 'eve'))$$, 'C1: and another one');
SELECT is(active('Acme') || ': ' || roles_of('Acme', 'eve'), 'ann bob cyd dan eve: GUEST', 'C1: they are users of the organization');
SELECT ok(orgusers.can(org('Acme'), 'organization.view'), 'C1: and may do what their role permits');
SELECT act('ann');
SELECT as_owner($$UPDATE orgusers.invitations SET expires_at = now() - interval '1 day' WHERE id = inv('Acme', 'fay')$$);
SELECT lives_ok($$SELECT orgusers.resend_invitation(org('Acme'), inv('Acme', 'fay'))$$, 'C1: an expired invitation of a guest needs no seat to be sent again');

-- C1: roles
SELECT throws_ok($$SELECT orgusers.set_user_roles(org('Acme'), person('dan'), '{USER}')$$, 'OU301', NULL, 'C1: a guest who gets another role needs a seat');
SELECT is(roles_of('Acme', 'dan'), 'GUEST', 'C1: and stays a guest without one');
SELECT throws_ok($$SELECT orgusers.set_user_roles(org('Acme'), person('dan'), '{}')$$, 'OU301', NULL, 'C1: a user without roles takes a seat');
SELECT throws_ok($$SELECT orgusers.set_user_roles(org('Acme'), person('dan'), '{GUEST,USER}')$$, 'OU113', NULL, 'C1: no user has roles of both kinds');
SELECT throws_ok($$SELECT orgusers.set_user_groups(org('Acme'), person('dan'), '{ops}')$$, 'OU113', NULL, 'C1: a guest gets no group');
SELECT lives_ok($$SELECT orgusers.set_user_groups(org('Acme'), person('dan'), '{}')$$, 'C1: none is fine');
SELECT throws_ok($$SELECT orgusers.set_user_permissions(org('Acme'), person('dan'), '{users.view}')$$, 'OU113', NULL, 'C1: nor single permissions');
SELECT throws_ok($$SELECT orgusers.set_group_roles(org('Acme'), 'ops', '{GUEST}')$$, 'OU113', NULL, 'C1: a group carries no free role');
SELECT throws_ok($$SELECT orgusers.create_group(org('Acme'), 'guests', '{GUEST}')$$, 'OU113', NULL, 'C1: nor a new one');
SELECT lives_ok($$SELECT orgusers.set_user_spaces(org('Acme'), person('dan'), '{room}')$$, 'C1: a guest is assigned to a space');
SELECT orgusers.set_user_groups(org('Acme'), person('bob'), '{ops}') \g /dev/null
SELECT throws_ok($$SELECT orgusers.set_user_roles(org('Acme'), person('bob'), '{GUEST}')$$, 'OU113', NULL, 'C1: who is in a group does not become a guest');
SELECT orgusers.set_user_groups(org('Acme'), person('bob'), '{}'), orgusers.set_user_permissions(org('Acme'), person('bob'), '{users.view}') \g /dev/null
SELECT throws_ok($$SELECT orgusers.set_user_roles(org('Acme'), person('bob'), '{GUEST}')$$, 'OU113', NULL, 'C1: nor who has a single permission');
SELECT orgusers.set_user_permissions(org('Acme'), person('bob'), '{}') \g /dev/null
SELECT lives_ok($$SELECT orgusers.set_user_roles(org('Acme'), person('bob'), '{GUEST}')$$, 'C1: a user becomes a guest');
SELECT lives_ok($$SELECT orgusers.set_user_roles(org('Acme'), person('dan'), '{USER}')$$, 'C1: whose seat a guest can take');
SELECT throws_ok($$SELECT orgusers.set_user_roles(org('Acme'), person('eve'), '{USER}')$$, 'OU301', NULL, 'C1: one');
SELECT lives_ok($$SELECT orgusers.deactivate_user(org('Acme'), person('eve')); SELECT orgusers.reactivate_user(org('Acme'), person('eve'))$$, 'C1: a guest is reactivated without a seat');
SELECT is((SELECT count(*)::int FROM orgusers.memberships WHERE org_id = org('Acme') AND holds_seat), 3, 'A6: there are three users with a seat');

-- C1: whose invitations take seats
RESET ROLE;
UPDATE orgusers.policies SET pending_holds_seat = true;
SELECT act('ann');
SELECT orgusers.set_plan(org('Acme'), 'four') \g /dev/null
SELECT lives_ok($$SELECT orgusers.invite_user(org('Acme'), 'gus@example.org', '{USER}')$$, 'C1: a guest''s pending invitation takes no seat');
SELECT throws_ok($$SELECT orgusers.invite_user(org('Acme'), 'una@example.org', '{USER}')$$, 'OU301', NULL, 'A6: a user''s does, if the policy says so');
SELECT orgusers.cancel_invitation(org('Acme'), inv('Acme', 'gus')) \g /dev/null
SELECT is(tried($$UPDATE orgusers.plans SET seats = 3 WHERE id = 'four'$$), 'allowed', 'C1: guests are not in the way of fewer seats');
SELECT is(tried($$UPDATE orgusers.plans SET seats = 2 WHERE id = 'four'$$), 'OU301', 'A6: users are');
SELECT is(tried($$SELECT orgusers.set_plan(org('Acme'), 'free')$$), 'allowed', 'C1: nor in the way of a smaller plan');
UPDATE orgusers.policies SET pending_holds_seat = false;
SELECT orgusers.set_plan(org('Acme'), 'free') \g /dev/null

-- C1: direct DML. bob and eve are guests, ann, cyd and dan take the seats.
CREATE FUNCTION pg_temp.role(called text) RETURNS uuid LANGUAGE sql AS $$ SELECT id FROM orgusers.roles WHERE org_id = org('Acme') AND name = called $$;
SELECT is(tried(s), state, 'C1: ' || state || ': ' || regexp_replace(s, '\s+', ' ', 'g')) FROM (VALUES
    ('23503', $$INSERT INTO orgusers.membership_roles VALUES (org('Acme'), person('cyd'), pg_temp.role('GUEST'))$$),
    ('23503', $$INSERT INTO orgusers.membership_roles VALUES (org('Acme'), person('cyd'), pg_temp.role('GUEST'), false)$$),
    ('23503', $$INSERT INTO orgusers.membership_roles VALUES (org('Acme'), person('eve'), pg_temp.role('ADMIN'))$$),
    ('23503', $$INSERT INTO orgusers.membership_roles VALUES (org('Acme'), person('eve'), pg_temp.role('ADMIN'), false)$$),
    ('23503', $$UPDATE orgusers.membership_roles SET role_id = pg_temp.role('ADMIN') WHERE user_id = person('eve')$$),
    ('23503', $$UPDATE orgusers.memberships SET holds_seat = true WHERE user_id = person('eve')$$),
    ('23503', $$UPDATE orgusers.memberships SET holds_seat = false WHERE user_id = person('cyd')$$),
    ('23503', $$UPDATE orgusers.roles SET holds_seat = true WHERE id = pg_temp.role('GUEST')$$),
    ('23503', $$UPDATE orgusers.role_templates SET holds_seat = true WHERE id = 'guest'$$),
    ('23503', $$UPDATE orgusers.role_templates SET holds_seat = false WHERE id = 'user'$$),
    ('23503', $$INSERT INTO orgusers.group_members SELECT org_id, id, person('eve') FROM orgusers.groups$$),
    ('23514', $$INSERT INTO orgusers.group_members SELECT org_id, id, person('eve'), false FROM orgusers.groups$$),
    ('23503', $$INSERT INTO orgusers.group_roles SELECT org_id, id, pg_temp.role('GUEST') FROM orgusers.groups$$),
    ('23514', $$INSERT INTO orgusers.group_roles SELECT org_id, id, pg_temp.role('GUEST'), false FROM orgusers.groups$$),
    ('23503', $$INSERT INTO orgusers.membership_permissions VALUES (org('Acme'), person('eve'), 'users.view')$$),
    ('23514', $$INSERT INTO orgusers.membership_permissions VALUES (org('Acme'), person('eve'), 'users.view', false)$$),
    ('OU301', $$DELETE FROM orgusers.membership_roles WHERE user_id = person('eve'); UPDATE orgusers.memberships SET holds_seat = true WHERE user_id = person('eve')$$),
    ('OU301', $$INSERT INTO orgusers.memberships (org_id, user_id) VALUES (org('Acme'), person('gus'))$$),
    ('OU301', $$INSERT INTO orgusers.memberships (org_id, user_id, holds_seat) VALUES (org('Acme'), person('gus'), false) ON CONFLICT DO NOTHING;
        MERGE INTO orgusers.memberships m USING (VALUES (person('gus'))) v (id) ON m.user_id = v.id WHEN MATCHED THEN UPDATE SET holds_seat = true$$),
    ('allowed', $$INSERT INTO orgusers.memberships (org_id, user_id, holds_seat) VALUES (org('Acme'), person('gus'), false), (org('Acme'), person('fay'), false)$$),
    ('allowed', $$DELETE FROM orgusers.membership_roles WHERE user_id IN (person('bob'), person('eve')); UPDATE orgusers.role_templates SET holds_seat = true WHERE id = 'guest';
        INSERT INTO orgusers.membership_roles (org_id, user_id, role_id) VALUES (org('Acme'), person('cyd'), pg_temp.role('GUEST'))$$),
    ('allowed', $$DELETE FROM orgusers.roles WHERE id = pg_temp.role('GUEST')$$)) AS v (state, s);
SELECT is((SELECT holds_seat FROM orgusers.roles WHERE id = pg_temp.role('GUEST')), false, 'C1: a role is free as its template is');
INSERT INTO orgusers.roles (org_id, policy, template, name) VALUES (org('Acme'), 'plans_and_groups', 'guest', 'VISITOR');
SELECT is((SELECT holds_seat FROM orgusers.roles WHERE id = pg_temp.role('VISITOR')), false, 'C1: also a further one');
SELECT is(tried($$INSERT INTO orgusers.roles (org_id, policy, template, name, holds_seat) VALUES (org('Acme'), 'plans_and_groups', 'guest', 'X', true)$$), '23503', 'C1: and no other way');

-- Whose invitation is for the other kind than what the person is by now
SELECT act('ann');
SELECT orgusers.invite_user(org('Acme'), 'gus@example.org', '{GUEST}') \g /dev/null
SELECT is(tried($$DELETE FROM orgusers.memberships WHERE user_id = person('dan'); INSERT INTO orgusers.memberships (org_id, user_id) VALUES (org('Acme'), person('gus'));
    SELECT act('gus'); SELECT orgusers.accept_my_invitation(org('Acme'), inv('Acme', 'gus'))$$), 'OU113', 'C1: who has a seat does not become a guest by an invitation');

-- C5
SET LOCAL ROLE regress_ou_app;
SELECT act('ann');
SELECT orgusers.deactivate_user(org('Acme'), person('cyd')) \g /dev/null
SELECT results_eq($$SELECT split_part(email::text, '@', 1), status FROM orgusers.list_users(org('Acme'))$$,
    $$VALUES ('ann', 'active'), ('bob', 'active'), ('cyd', 'deactivated'), ('dan', 'active'), ('eve', 'active')$$, 'C5: administrators list active and inactive users');
SELECT act('dan');
SELECT throws_ok($$SELECT * FROM orgusers.list_users(org('Acme'))$$, 'OU002', NULL, 'C5: others do not');

-- C6, C7: acting and seats
SELECT act('cyd');
SELECT results_eq($$SELECT orgusers.is_member(org('Acme')), orgusers.can(org('Acme'), 'organization.view'), orgusers.has_role(org('Acme'), 'USER'), orgusers.orgs_with('organization.view')$$,
    $$VALUES (false, false, false, '{}'::uuid[])$$, 'C6: a deactivated user may do nothing in the organization');
SELECT throws_ok($$SELECT orgusers.switch_organization(org('Acme'))$$, 'OU101', NULL, 'C6: nor work in it');
SELECT act('ann');
SELECT lives_ok($$SELECT orgusers.set_user_roles(org('Acme'), person('eve'), '{USER}')$$, 'C6: a deactivated user holds no seat');
SELECT throws_ok($$SELECT orgusers.reactivate_user(org('Acme'), person('cyd'))$$, 'OU301', NULL, 'C7: reactivation needs one');
SELECT lives_ok($$SELECT orgusers.set_user_roles(org('Acme'), person('cyd'), '{GUEST}'); SELECT orgusers.reactivate_user(org('Acme'), person('cyd'))$$, 'C7: but not as a guest');
SELECT orgusers.deactivate_user(org('Acme'), person('cyd')) \g /dev/null
SELECT lives_ok($$SELECT orgusers.set_user_roles(org('Acme'), person('cyd'), '{USER}')$$, 'C7: roles of a deactivated user change without a seat');
SELECT lives_ok($$SELECT orgusers.deactivate_user(org('Acme'), person('dan')); SELECT orgusers.reactivate_user(org('Acme'), person('cyd'))$$, 'C7: with a seat the user comes back');
SELECT ok(NOT EXISTS (SELECT FROM orgusers.seat_ledger), 'C6: what begins and ends at one moment takes no time');

-- The ledger. Times are given here, as those of a transaction are all the same.
RESET ROLE;
SELECT act('ann');
SELECT orgusers.create_organization('Cases', 'plans_and_groups', time_zone => 'America/New_York') \g /dev/null
SELECT orgusers.set_plan(org('Cases'), 'team', person('ann')) \g /dev/null
CREATE FUNCTION pg_temp.at(local text) RETURNS timestamptz LANGUAGE sql AS $$ SELECT local::timestamp AT TIME ZONE 'America/New_York' $$;
CREATE FUNCTION pg_temp.seat(who text, local text, taken boolean) RETURNS void LANGUAGE sql AS $$
    UPDATE orgusers.memberships SET status = CASE WHEN taken THEN 'active' ELSE 'deactivated' END, seat_since = pg_temp.at(local),
        deactivated_at = CASE WHEN NOT taken THEN pg_temp.at(local) END
    WHERE org_id = org('Cases') AND user_id = person(who) $$;
CREATE FUNCTION pg_temp.plan(called text, local text) RETURNS void LANGUAGE sql AS $$
    UPDATE orgusers.subscriptions SET plan = p.id, paid = p.paid, billing_admin_id = CASE WHEN p.paid THEN person('ann') END, since = pg_temp.at(local)
    FROM orgusers.plans p WHERE p.id = called AND org_id = org('Cases') $$;
-- The statement of a month, a line for each row.
CREATE FUNCTION pg_temp.statement(day date) RETURNS SETOF text LANGUAGE sql SECURITY DEFINER AS $$
    SELECT concat_ws(' ', kind, split_part(email::text, '@', 1), plan, amount, currency) FROM orgusers.billing_statement_of(org('Cases'), day) $$;
UPDATE orgusers.memberships SET seat_since = pg_temp.at('2024-01-01'), joined_at = pg_temp.at('2024-01-01') WHERE org_id = org('Cases');
UPDATE orgusers.subscriptions SET since = pg_temp.at('2024-01-01') WHERE org_id = org('Cases');
-- March has 743 hours there. bob comes with 264 of them left and is deactivated with 144 left.
INSERT INTO orgusers.memberships (org_id, user_id, seat_since) VALUES (org('Cases'), person('bob'), pg_temp.at('2024-03-21'));
INSERT INTO orgusers.memberships (org_id, user_id, holds_seat, seat_since) VALUES (org('Cases'), person('gus'), false, pg_temp.at('2024-03-01'));
SELECT pg_temp.seat('bob', '2024-03-26', false) \g /dev/null

SET LOCAL ROLE regress_ou_app;
SELECT results_eq($$SELECT pg_temp.statement('2024-02-29')$$, ARRAY['seat ann team 30.00 USD', 'due 30.00 USD'], 'C6: a seat costs its price');
SELECT results_eq($$SELECT pg_temp.statement('2024-03-31')$$, ARRAY['seat ann team 30.00 USD', 'activation bob team 10.66 USD', 'deactivation bob team 5.81 USD', 'due 40.66 USD', 'carry 5.81 USD'],
    'C6: what is left of a deactivated user''s period is a credit, not a refund; C1: a guest costs nothing');
SELECT results_eq($$SELECT pg_temp.statement('2024-04-01')$$, ARRAY['carried 5.81 USD', 'seat ann team 30.00 USD', 'used -5.81 USD', 'due 24.19 USD'], 'C6: the credit goes towards the next period, and the user is not billed');
SELECT results_eq($$SELECT pg_temp.statement('2024-05-01')$$, ARRAY['seat ann team 30.00 USD', 'due 30.00 USD'], 'C6: once');
SELECT results_eq($$SELECT kind, starts_at, ends_at, quantity, price FROM orgusers.billing_statement(org('Cases'), '2024-03-01') WHERE email = 'bob@example.org' ORDER BY starts_at$$,
    $$VALUES ('activation', '2024-03-21 00:00-04'::timestamptz, '2024-04-01 00:00-04'::timestamptz, 0.355316285330, 30.00),
             ('deactivation', '2024-03-26 00:00-04', '2024-04-01 00:00-04', 0.193808882907, 30.00)$$, 'C6: rows say from when to when, and how much of the period');
SELECT results_eq($$SELECT starts_at, ends_at FROM orgusers.billing_statement(org('Cases'), '2024-03-10') WHERE kind = 'due'$$,
    $$VALUES ('2024-03-01 00:00-05'::timestamptz, '2024-04-01 00:00-04'::timestamptz)$$, 'C6: a period is a month of the organization''s time zone');
SELECT results_eq($$SELECT split_part(email::text, '@', 1), plan, started_at, ended_at, seconds FROM orgusers.seat_usage(org('Cases'), '2024-03-20 00:00-04', '2024-03-27 00:00-04')$$,
    $$VALUES ('ann', 'team', '2024-03-20 00:00-04'::timestamptz, '2024-03-27 00:00-04'::timestamptz, 604800.000000), ('bob', 'team', '2024-03-21 00:00-04', '2024-03-26 00:00-04', 432000)$$,
    'C6: seat_usage is clipped to the range');
SELECT is_empty($$SELECT * FROM orgusers.seat_usage(org('Cases'), '2023-01-01', '2024-01-01 00:00-05')$$, 'C6: nothing before the first seat');
SELECT is((SELECT max(ended_at) FROM orgusers.seat_usage(org('Cases'), '2024-01-01', '2200-01-01')), now(), 'C6: what goes on is counted up to now');

RESET ROLE;
SELECT pg_temp.seat('bob', '2024-06-16', true) \g /dev/null
SELECT results_eq($$SELECT pg_temp.statement('2024-06-01')$$, ARRAY['seat ann team 30.00 USD', 'activation bob team 15.00 USD', 'due 45.00 USD'], 'C7: a reactivated user is billed for the rest of the period');
SELECT results_eq($$SELECT pg_temp.statement('2024-07-01')$$, ARRAY['seat ann team 30.00 USD', 'seat bob team 30.00 USD', 'due 60.00 USD'], 'C7: and the whole next one');
-- 31 days of 24 hours; both end with 30 of them left.
SELECT pg_temp.seat('bob', '2024-08-02', false), pg_temp.seat('ann', '2024-08-02', false) \g /dev/null
INSERT INTO orgusers.memberships (org_id, user_id, seat_since) VALUES (org('Cases'), person('cyd'), pg_temp.at('2024-09-01'));
SELECT results_eq($$SELECT pg_temp.statement('2024-08-01')$$, ARRAY['seat ann team 30.00 USD', 'seat bob team 30.00 USD', 'deactivation ann team 29.03 USD', 'deactivation bob team 29.03 USD', 'due 60.00 USD', 'carry 58.06 USD'],
    'C6: credits of the running period lower nothing in it');
SELECT results_eq($$SELECT pg_temp.statement('2024-09-01')$$, ARRAY['carried 58.06 USD', 'seat cyd team 30.00 USD', 'used -30.00 USD', 'due 0.00 USD', 'carry 28.06 USD'], 'C6: a period''s due is never below nothing; the rest is carried on');
SELECT results_eq($$SELECT pg_temp.statement('2024-10-01')$$, ARRAY['carried 28.06 USD', 'seat cyd team 30.00 USD', 'used -28.06 USD', 'due 1.94 USD'], 'C6: until it is used up');

-- Plans
SELECT pg_temp.plan('large', '2024-11-16'), pg_temp.plan('free', '2024-12-01') \g /dev/null
-- November has 721 hours there, 360 of them are left.
SELECT results_eq($$SELECT pg_temp.statement('2024-11-01')$$, ARRAY['seat cyd team 30.00 USD', 'plan_change cyd large 29.96 USD', 'plan_end cyd team 14.98 USD', 'used -14.98 USD', 'due 44.98 USD'],
    'C6: a plan that ends pays for the one that begins');
SELECT is_empty($$SELECT pg_temp.statement('2024-12-01')$$, 'C6: a plan without a price costs nothing');
SELECT pg_temp.plan('yearly', '2025-01-01'), pg_temp.seat('cyd', '2025-04-01', false), pg_temp.seat('cyd', '2025-05-01', true) \g /dev/null
-- 8760 hours, of which 6601 are left on April 1, 5881 on May 1 and 5137 on June 1.
SELECT results_eq($$SELECT pg_temp.statement('2025-01-01')$$, ARRAY['seat cyd yearly 366.00 USD', 'due 366.00 USD'], 'C6: a year is billed in its first month');
SELECT is_empty($$SELECT pg_temp.statement('2025-02-01')$$, 'C6: and in no other');
SELECT results_eq($$SELECT pg_temp.statement('2025-04-01')$$, ARRAY['deactivation cyd yearly 275.80 USD', 'due 0.00 USD', 'carry 275.80 USD'], 'C6: its rest is a credit');
SELECT results_eq($$SELECT pg_temp.statement('2025-05-01')$$, ARRAY['carried 275.80 USD', 'activation cyd yearly 245.71 USD', 'due 245.71 USD', 'carry 275.80 USD'], 'C6: towards the next year, not this one');
SELECT pg_temp.plan('euro', '2025-06-01') \g /dev/null
SELECT results_eq($$SELECT pg_temp.statement('2025-06-01')$$,
    ARRAY['seat cyd euro 7.00 EUR', 'due 7.00 EUR', 'carried 275.80 USD', 'plan_end cyd yearly 214.63 USD', 'due 0.00 USD', 'carry 490.43 USD'], 'C6: each currency has an account of its own');

-- The billing admin is an active user.
SELECT pg_temp.seat('ann', '2025-07-01', true) \g /dev/null

-- Who is gone
SELECT is(tried($$DELETE FROM orgusers.plans WHERE id = 'team'$$), '23503', 'C6: a plan that was billed cannot go');
DELETE FROM orgusers.memberships WHERE org_id = org('Cases') AND user_id = person('cyd');
SELECT is((SELECT ended_at FROM orgusers.seat_ledger WHERE org_id = org('Cases') AND user_id = person('cyd') ORDER BY started_at DESC LIMIT 1), now(), 'C6: a removed user''s seat is over');
CREATE TEMP TABLE before AS SELECT kind, user_id, amount FROM orgusers.billing_statement_of(org('Cases'), '2024-09-01');
DELETE FROM orgusers.memberships WHERE user_id = person('cyd');
DELETE FROM orgusers.users WHERE email = 'cyd@example.org';
SELECT results_eq($$SELECT kind, user_id, amount FROM orgusers.billing_statement_of(org('Cases'), '2024-09-01')$$, 'TABLE before', 'C6: statements stay as they are when a user is deleted');
SELECT results_eq($$SELECT count(*) FROM orgusers.billing_statement_of(org('Cases'), '2024-09-01') WHERE user_id IS NOT NULL AND email IS NULL$$, $$VALUES (1::bigint)$$, 'C6: just the address is gone');

-- Direct DML of every kind ends a seat's time; now is later than it began.
CREATE FUNCTION pg_temp.ends(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found text;
BEGIN
    BEGIN
        INSERT INTO orgusers.memberships (org_id, user_id, seat_since) VALUES (org('Cases'), person('fay'), now() - interval '1 day');
        EXECUTE statement;
        SELECT string_agg(format('%s %s', l.started_at = now() - interval '1 day', l.ended_at = now()), ' ') INTO found FROM orgusers.seat_ledger l WHERE l.user_id = (SELECT id FROM orgusers.users WHERE email = 'fay@example.org') AND l.org_id = org('Cases');
        RAISE SQLSTATE 'ZZ000';
    EXCEPTION WHEN SQLSTATE 'ZZ000' THEN RETURN coalesce(found, 'goes on');
    END;
END $$;
SELECT is(pg_temp.ends(s), wanted, 'C6: ' || wanted || ': ' || s) FROM (VALUES
    ('t t', $$UPDATE orgusers.memberships SET status = 'deactivated', deactivated_at = now() WHERE user_id = person('fay')$$),
    ('t t', $$UPDATE orgusers.memberships SET holds_seat = false WHERE user_id = person('fay')$$),
    ('t t', $$DELETE FROM orgusers.memberships WHERE user_id = person('fay')$$),
    ('t t', $$DELETE FROM orgusers.subscriptions WHERE org_id = org('Acme'); UPDATE orgusers.memberships SET org_id = org('Acme') WHERE user_id = person('fay')$$),
    ('t t', $$UPDATE orgusers.memberships SET user_id = person('una') WHERE user_id = person('fay')$$),
    ('t t', $$MERGE INTO orgusers.memberships m USING (VALUES (person('fay'))) v (id) ON m.user_id = v.id WHEN MATCHED THEN DELETE$$),
    ('t t', $$INSERT INTO orgusers.memberships (org_id, user_id) VALUES (org('Cases'), person('fay')) ON CONFLICT (org_id, user_id) DO UPDATE SET holds_seat = false$$),
    ('t t', $$UPDATE orgusers.memberships SET holds_seat = false WHERE user_id = person('fay'); UPDATE orgusers.memberships SET holds_seat = true WHERE user_id = person('fay'); UPDATE orgusers.memberships SET holds_seat = false WHERE user_id = person('fay')$$),
    ('goes on', $$UPDATE orgusers.memberships SET invited_by = NULL, joined_at = now() WHERE user_id = person('fay')$$)) AS v (wanted, s);
SELECT is(tried($$INSERT INTO orgusers.memberships (org_id, user_id, seat_since) VALUES (org('Cases'), person('fay'), now() - interval '1 day'); DELETE FROM orgusers.users WHERE id = person('fay')$$), 'allowed', 'C6: a user who is deleted leaves the seat''s time');

-- A removal and a return that overlap, as of two transactions of which one waited for the other, are billed once.
INSERT INTO orgusers.memberships (org_id, user_id, seat_since) VALUES (org('Cases'), person('fay'), now() - interval '1 hour');
INSERT INTO orgusers.seat_ledger VALUES (org('Cases'), person('fay'), now() - interval '2 hours', now() - interval '30 minutes');
SELECT results_eq($$SELECT started_at, ended_at, seconds FROM orgusers.seat_usage_of(org('Cases'), now() - interval '1 day', now()) WHERE email = 'fay@example.org'$$,
    $$VALUES (now() - interval '2 hours', now(), 7200.000000)$$, 'C6: time that is entered twice counts once');

-- Which months have a statement
SELECT is((SELECT count(*)::int FROM orgusers.billing_statement_of(org('Cases'), (now() AT TIME ZONE 'America/New_York')::date) WHERE kind = 'due' AND currency = 'EUR'), 1, 'C6: a running month has a statement so far');
SELECT lives_ok($$SELECT * FROM orgusers.billing_statement_of(org('Cases'), (date_trunc('month', now() AT TIME ZONE 'America/New_York') + interval '1 month' - interval '1 day')::date)$$, 'C6: by any of its days');
SELECT throws_ok($$SELECT * FROM orgusers.billing_statement_of(org('Cases'), (date_trunc('month', now() AT TIME ZONE 'America/New_York') + interval '1 month')::date)$$, 'OU308', NULL, 'C6: but not the next month');
SELECT throws_ok(format($$SELECT * FROM orgusers.billing_statement_of(org('Cases'), %L)$$, day), 'OU308', NULL, 'C6: no statement for ' || day) FROM unnest(ARRAY['infinity', '-infinity', '5874897-12-31', '2200-01-01']) day;
SELECT throws_ok($$SELECT * FROM orgusers.billing_statement_of(org('Cases'), NULL)$$, 'OU308', NULL, 'C6: nor for NULL');
SELECT is_empty(format($$SELECT * FROM orgusers.billing_statement_of(org('Cases'), %L)$$, day), 'C6: an empty one for ' || day) FROM unnest(ARRAY['4714-11-24 BC', '0001-01-01', '1899-12-31', '2023-12-31']) day;
SELECT throws_ok(format($$SELECT * FROM orgusers.seat_usage_of(org('Cases'), %L, %L)$$, a, b), 'OU308', NULL, format('C6: no usage from %s to %s', a, b))
    FROM (VALUES ('2024-01-01', '2024-01-01'), ('2024-01-02', '2024-01-01'), ('-infinity', 'infinity'), ('2024-01-01', 'infinity'), (NULL, '2024-01-01'), ('2024-01-01', NULL)) AS v (a, b);
SELECT is_empty($$SELECT * FROM orgusers.seat_usage_of(org('Cases'), '2200-01-01', '2300-01-01')$$, 'C6: nor in what is to come');
SELECT throws_ok($$SELECT * FROM orgusers.billing_statement_of(gen_random_uuid(), '2024-01-01')$$, 'OU101', NULL, 'C6: nor of no organization');
SELECT throws_ok($$SELECT * FROM orgusers.seat_usage_of(gen_random_uuid(), '2024-01-01', '2024-01-02')$$, 'OU101', NULL, 'C6: and no usage');

-- Prices
SELECT is(tried($$UPDATE orgusers.plans SET $$ || s || $$ WHERE id = '$$ || id || $$'$$), state, format('C6: %s: %s of %s', state, s, id)) FROM (VALUES
    ('OU009', 'seat_price = 31', 'team'), ('OU009', 'currency = ''EUR''', 'team'), ('OU009', 'billing_period = ''year''', 'team'), ('OU009', 'seat_price = NULL, currency = NULL, billing_period = NULL', 'team'), ('OU009', 'seat_price = 31', 'euro'),
    ('allowed', 'seat_price = 30, title = ''Crew''', 'team'), ('allowed', 'seat_price = 8, currency = ''CHF'', billing_period = ''year''', 'paid'),
    ('23514', 'seat_price = 8', 'paid'), ('23514', 'seat_price = -1, currency = ''CHF'', billing_period = ''year''', 'paid'), ('23514', 'seat_price = 8, currency = ''chf'', billing_period = ''year''', 'paid'),
    ('23514', 'seat_price = 8, currency = ''CHF'', billing_period = ''week''', 'paid'), ('23514', 'seat_price = 8, currency = ''CHF'', billing_period = ''year''', 'four')) AS v (state, s, id);
SELECT is(tried($$UPDATE orgusers.plans SET id = 'crew' WHERE id = 'euro';
    DO 'BEGIN IF (SELECT since FROM orgusers.subscriptions WHERE plan = ''crew'') <> ''2025-06-01 00:00-04'' THEN RAISE ''other''; END IF; END'$$), 'allowed', 'C6: a plan that is renamed goes on');
SELECT is(tried($$UPDATE orgusers.plans SET id = 'crew' WHERE id = 'team'; DO 'BEGIN IF NOT EXISTS (SELECT FROM orgusers.plan_ledger WHERE plan = ''crew'') THEN RAISE ''none''; END IF; END'$$), 'allowed', 'C6: and keeps its history');

-- Who may see it
SET LOCAL ROLE regress_ou_app;
SELECT throws_ok($$SELECT * FROM orgusers.billing_statement_of(org('Cases'), '2024-01-01')$$, '42501', NULL, 'C6: the trusted server''s function is not the application''s');
SELECT act('fay');
SELECT throws_ok($$SELECT * FROM orgusers.billing_statement(org('Cases'), '2024-01-01')$$, 'OU002', NULL, 'C6: without billing.statement there is no statement');
SELECT throws_ok($$SELECT * FROM orgusers.seat_usage(org('Cases'), '2024-01-01', '2024-02-01')$$, 'OU002', NULL, 'C6: nor usage');
SELECT is_empty('SELECT * FROM orgusers.seat_ledger', 'C6: nor a ledger');
SELECT act('una');
SELECT throws_ok($$SELECT * FROM orgusers.billing_statement(org('Cases'), '2024-01-01')$$, 'OU101', NULL, 'C6: an outsider learns nothing');
SELECT act(NULL);
SELECT throws_ok($$SELECT * FROM orgusers.billing_statement(org('Cases'), '2024-01-01')$$, 'OU001', NULL, 'C6: nor does nobody');
SET LOCAL ROLE regress_ou_server;
SELECT is((SELECT amount FROM orgusers.billing_statement_of(org('Cases'), '2024-01-01') WHERE kind = 'due'), 30.00, 'C6: the trusted server needs no actor');

-- C6: several changes of the plan in one transaction
RESET ROLE;
SELECT act('ann');
SELECT orgusers.create_organization('Swap', 'plans_and_groups') \g /dev/null
UPDATE orgusers.memberships SET seat_since = now() - interval '100 days' WHERE org_id = org('Swap');
UPDATE orgusers.subscriptions SET since = now() - interval '100 days' WHERE org_id = org('Swap');
SELECT orgusers.set_plan(org('Swap'), 'team', person('ann')) \g /dev/null
DELETE FROM orgusers.plan_ledger WHERE org_id = org('Swap');
UPDATE orgusers.subscriptions SET since = now() - interval '90 days' WHERE org_id = org('Swap');
CREATE TEMP TABLE before_swap AS SELECT * FROM orgusers.billing_statement_of(org('Swap'), current_date);
SELECT orgusers.set_plan(org('Swap'), p, CASE WHEN p <> 'free' THEN person('ann') END) FROM unnest(ARRAY['large', 'euro', 'free', 'team']) p \g /dev/null
SELECT results_eq($$SELECT * FROM orgusers.billing_statement_of(org('Swap'), current_date)$$, 'SELECT * FROM before_swap', 'C6: a plan that is left and taken again in one transaction has gone on');
SELECT is((SELECT count(*) FROM orgusers.seat_usage_of(org('Swap'), now() - interval '80 days', now())), 1::bigint, 'C6: in the usage, too');
SELECT isnt_empty($$SELECT FROM before_swap WHERE kind IN ('seat', 'plan_change') AND amount = 30.00$$, 'C6: there was something to be changed');
SELECT is(tried(s), '23514', 'C6: refused, as a statement would never end: ' || s) FROM unnest(ARRAY[
    $$UPDATE orgusers.memberships SET seat_since = '-infinity'$$, $$UPDATE orgusers.memberships SET seat_since = 'infinity'$$, $$UPDATE orgusers.subscriptions SET since = '-infinity'$$,
    $$INSERT INTO orgusers.seat_ledger SELECT id, person('gus'), '-infinity', now() FROM orgusers.organizations$$,
    $$INSERT INTO orgusers.plan_ledger SELECT id, '-infinity', now(), 'team' FROM orgusers.organizations$$]) s;
DELETE FROM orgusers.organizations WHERE id = org('Swap');

-- The organization and all of its ledgers
SELECT lives_ok($$DELETE FROM orgusers.organizations WHERE id = org('Cases')$$, 'C6: an organization is deleted with its ledgers');
SELECT is_empty($$SELECT FROM orgusers.seat_ledger UNION ALL SELECT FROM orgusers.plan_ledger$$, 'C6: nothing of them is left');

SELECT * FROM finish();
ROLLBACK;
