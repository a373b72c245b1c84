-- Refusals as a client sees them: message, detail and hint.  All in one transaction, which is rolled back.
\set SHOW_CONTEXT never
\set ON_ERROR_ROLLBACK on
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE ROLE regress_ou_errors;
SELECT orgusers.grant_to('regress_ou_errors', 'server');
SELECT orgusers.install_plans_and_groups();
\set acme '10000000-0000-4000-8000-000000000000'
\set other '20000000-0000-4000-8000-000000000000'
\set ann 'a0000000-0000-4000-8000-000000000000'
\set bob 'b0000000-0000-4000-8000-000000000000'
\set cyd 'c0000000-0000-4000-8000-000000000000'
\set dan 'd0000000-0000-4000-8000-000000000000'
SELECT orgusers.register_user((name || '@example.org')::orgusers.email, initcap(name), id, name <> 'dan')
  FROM (VALUES ('ann', :'ann'::uuid), ('bob', :'bob'), ('cyd', :'cyd'), ('dan', :'dan')) AS people (name, id);

-- Acme, Ann's, with Bob and Cyd, has no seat left.  Other is Bob's.
SELECT orgusers.act_as(:'bob');
SELECT orgusers.create_organization('Other', 'plans_and_groups', :'other');
SELECT orgusers.act_as(:'ann');
SELECT orgusers.create_organization('Acme', 'plans_and_groups', :'acme');
SET LOCAL ROLE regress_ou_errors;

-- who acts
SELECT orgusers.act_as(NULL);
SELECT orgusers.create_organization('Nobody''s', 'plans_and_groups');
SELECT orgusers.list_users(:'acme');
SELECT orgusers.act_as(:'other');
SELECT orgusers.act_as(:'bob');
SELECT orgusers.list_users(:'acme');
SELECT orgusers.list_users('30000000-0000-4000-8000-000000000000');
SELECT orgusers.switch_organization(:'acme');
SELECT orgusers.act_as(:'ann');
SELECT orgusers.require(:'acme', 'docs.read');

-- inviting
SELECT orgusers.invite_user(:'acme', 'bob@example.org');
SELECT orgusers.invite_user(:'acme', 'not an address');
SELECT orgusers.invite_user(:'acme', NULL);
SELECT orgusers.invite_user(:'acme', 'bob@example.org', '{BOSS}');
SELECT orgusers.invite_user(:'acme', 'bob@example.org', groups => '{nobody}');
SELECT orgusers.invite_user(:'acme', 'bob@example.org', first_name => 'B ');
SELECT orgusers.invite_user(:'acme', 'ann@example.org', send => false);
SELECT count(orgusers.invite_user(:'acme', (who || '@example.org')::orgusers.email, send => false)) FROM unnest(ARRAY['bob', 'cyd', 'dan']) who;
SELECT orgusers.invite_user(:'acme', 'BOB@example.org', send => false);
SELECT id AS bobs FROM orgusers.list_invitations(:'acme') WHERE email = 'bob@example.org' \gset
SELECT id AS cyds FROM orgusers.list_invitations(:'acme') WHERE email = 'cyd@example.org' \gset
SELECT id AS dans FROM orgusers.list_invitations(:'acme') WHERE email = 'dan@example.org' \gset
SELECT orgusers.resend_invitation(:'acme', :'bobs');
SELECT orgusers.resend_invitation(:'acme', :'acme');
SELECT orgusers.remove_invitation(:'acme', :'bobs');
SELECT substring(orgusers.invitation_link(:'acme', :'bobs') FROM '#(.*)') AS token \gset
SELECT substring(orgusers.invitation_link(:'acme', :'dans') FROM '#(.*)') AS dans_token \gset

-- answering
SELECT orgusers.accept_invitation('oui_x');
SELECT orgusers.accept_my_invitation(:'acme', :'bobs');
SELECT orgusers.accept_invitation(:'token');
SELECT orgusers.act_as(:'dan');
SELECT orgusers.accept_invitation(:'dans_token');
SELECT orgusers.act_as(:'bob');
SELECT orgusers.accept_invitation(:'token');
SELECT orgusers.decline_invitation(:'token');
SELECT orgusers.list_users(:'acme');
SELECT orgusers.act_as(:'cyd');
SELECT orgusers.accept_my_invitation(:'acme', :'cyds');
RESET ROLE;
SELECT orgusers.set_email_verified(:'dan', 'dan@example.org');
SET LOCAL ROLE regress_ou_errors;
SELECT orgusers.act_as(:'dan');
SELECT orgusers.accept_invitation(:'dans_token');
RESET ROLE;
UPDATE orgusers.invitations SET expires_at = now() - interval '1 day' WHERE id = :'dans';
SET LOCAL ROLE regress_ou_errors;
SELECT orgusers.accept_invitation(:'dans_token');
SELECT orgusers.act_as(:'ann');
SELECT orgusers.invitation_link(:'acme', :'dans');
SELECT orgusers.remove_invitation(:'acme', :'dans');
SELECT orgusers.act_as(:'dan');
SELECT orgusers.accept_invitation(:'dans_token');

-- users, groups and names
SELECT orgusers.act_as(:'ann');
SELECT orgusers.rename_organization(:'acme', E'Ac\nme');
SELECT orgusers.set_user_roles(:'acme', :'dan', '{USER}');
SELECT orgusers.set_user_roles(:'acme', :'bob', '{"no such role"}');
SELECT orgusers.set_user_roles(:'acme', :'ann', '{USER}');
SELECT orgusers.remove_user(:'acme', :'ann');
SELECT orgusers.deactivate_user(:'acme', :'ann');
SELECT orgusers.create_group(:'acme', 'ops') IS NOT NULL AS made;
SELECT orgusers.create_group(:'acme', 'ops');
SELECT orgusers.set_user_groups(:'acme', :'bob', '{Ops}');
SELECT orgusers.create_organization('Acme', 'plans_and_groups', :'acme');
SELECT orgusers.create_organization('Acme', 'no_such_policy');
SELECT orgusers.create_organization('Acme', 'plans_and_groups', time_zone => 'Nowhere');

-- the inviter's authority
SELECT orgusers.set_user_roles(:'acme', :'cyd', '{ADMIN}');
SELECT orgusers.remove_user(:'acme', :'bob');
SELECT orgusers.act_as(:'cyd');
SELECT orgusers.invite_user(:'acme', 'bob@example.org', send => false) AS bobs \gset
SELECT orgusers.act_as(:'ann');
SELECT orgusers.set_user_roles(:'acme', :'cyd', '{USER}');
SELECT orgusers.act_as(:'bob');
SELECT orgusers.accept_my_invitation(:'acme', :'bobs');

-- plans and billing
SELECT orgusers.act_as(:'ann');
SELECT orgusers.set_billing_admin(:'acme', :'cyd');
SELECT orgusers.set_plan(:'acme', 'paid');
SELECT orgusers.set_plan(:'acme', 'paid', :'dan');
SELECT orgusers.set_plan(:'acme', 'free', :'ann');
SELECT orgusers.set_plan(:'acme', 'gold', :'ann');
SELECT orgusers.set_plan(:'acme', 'paid', :'cyd');
SELECT orgusers.remove_user(:'acme', :'cyd');
SELECT orgusers.deactivate_user(:'acme', :'cyd');
SELECT orgusers.set_billing_cc(:'acme', ARRAY(SELECT ('a' || n || '@example.org')::orgusers.email FROM generate_series(1, 21) n));

-- what the owner is refused
RESET ROLE;
INSERT INTO orgusers.memberships (org_id, user_id) VALUES (:'acme', :'bob'), (:'acme', :'dan');
SELECT orgusers.set_plan(:'acme', 'free');
UPDATE orgusers.plans SET seats = 3 WHERE id = 'paid';
DELETE FROM orgusers.memberships WHERE org_id = :'acme' AND user_id = :'dan';
SELECT orgusers.set_plan(:'acme', 'free');
INSERT INTO orgusers.memberships (org_id, user_id) VALUES (:'acme', :'dan');
COPY orgusers.memberships (org_id, user_id) FROM STDIN;
10000000-0000-4000-8000-000000000000	d0000000-0000-4000-8000-000000000000
\.
COPY orgusers.memberships (org_id, user_id) FROM STDIN;
20000000-0000-4000-8000-000000000000	a0000000-0000-4000-8000-000000000000
20000000-0000-4000-8000-000000000000	c0000000-0000-4000-8000-000000000000
20000000-0000-4000-8000-000000000000	d0000000-0000-4000-8000-000000000000
\.
COPY orgusers.memberships (org_id, user_id) FROM STDIN;
20000000-0000-4000-8000-000000000000	c0000000-0000-4000-8000-000000000000
20000000-0000-4000-8000-000000000000	d0000000-0000-4000-8000-000000000000
\.
SET CONSTRAINTS ALL IMMEDIATE;
SET CONSTRAINTS orgusers.holders, orgusers.billing_admin DEFERRED;
DELETE FROM orgusers.membership_roles WHERE user_id = :'ann';
SET CONSTRAINTS ALL IMMEDIATE;
INSERT INTO orgusers.membership_roles SELECT org_id, :'ann', id FROM orgusers.roles WHERE org_id = :'acme' AND name = 'ADMIN';
SET CONSTRAINTS ALL IMMEDIATE;
TRUNCATE orgusers.membership_roles;
TRUNCATE orgusers.subscriptions;

-- the fields that a program reads
CREATE FUNCTION pg_temp.fields(statement text, OUT state text, OUT in_schema text, OUT in_table text, OUT violated text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    SET CONSTRAINTS ALL IMMEDIATE;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, in_schema = SCHEMA_NAME, in_table = TABLE_NAME, violated = CONSTRAINT_NAME;
END $$;
SELECT f.* FROM unnest(ARRAY[
    $$INSERT INTO orgusers.memberships (org_id, user_id) VALUES ('10000000-0000-4000-8000-000000000000', 'd0000000-0000-4000-8000-000000000000')$$,
    $$UPDATE orgusers.plans SET seats = 2 WHERE id = 'free'$$,
    $$DELETE FROM orgusers.membership_roles$$,
    $$UPDATE orgusers.memberships SET status = 'deactivated', deactivated_at = now()$$,
    $$UPDATE orgusers.subscriptions SET plan = 'paid', paid = true$$,
    $$UPDATE orgusers.subscriptions SET plan = 'paid', paid = true, billing_admin_id = 'd0000000-0000-4000-8000-000000000000'$$,
    $$UPDATE orgusers.subscriptions SET plan = 'paid', paid = true, billing_admin_id = 'b0000000-0000-4000-8000-000000000000';
      UPDATE orgusers.memberships SET status = 'deactivated', deactivated_at = now()
       WHERE org_id = '10000000-0000-4000-8000-000000000000' AND user_id = 'b0000000-0000-4000-8000-000000000000'$$]) statement, pg_temp.fields(statement) f;
ROLLBACK;
