-- The policy spaces: four roles over general, users, spaces and billing settings.
BEGIN;
\ir setup.psql
SELECT orgusers.install_spaces('Rooms', 'https://rooms.example/invitation#{{token}}', 'no-reply@rooms.example');
SELECT no_plan();

-- One actor and one target of each role, on a paid plan.
DO $$ BEGIN
    PERFORM act('ann');
    PERFORM orgusers.create_organization('Acme', 'spaces');
    PERFORM enlist('Acme', v.who, v.role) FROM (VALUES
        ('bob', 'Billing Admin'), ('cyd', 'User Admin'), ('dan', 'Member'),
        ('eve', 'Organization Admin'), ('una', 'Billing Admin'), ('gus', 'User Admin'), ('fay', 'Member')) AS v (who, role);
    PERFORM orgusers.set_plan(org('Acme'), 'business', person('ann'));
    PERFORM orgusers.create_space(org('Acme'), 'red');
    PERFORM orgusers.create_space(org('Acme'), 'blue');
    PERFORM orgusers.set_user_spaces(org('Acme'), person('dan'), '{red}');
    PERFORM orgusers.invite_user(org('Acme'), 'pia@example.org');
END $$;
SET LOCAL ROLE regress_ou_app;

-- What becomes of a statement, which is undone: yes, unseen when it answers false, or the SQLSTATE of the refusal.
CREATE FUNCTION pg_temp.outcome(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    EXECUTE statement INTO answer;
    RAISE EXCEPTION USING ERRCODE = 'Z0001', MESSAGE = CASE WHEN answer = 'false' THEN 'unseen' ELSE 'yes' END;
EXCEPTION WHEN SQLSTATE 'Z0001' THEN RETURN SQLERRM;
          WHEN OTHERS THEN RETURN SQLSTATE;
END $$;

-- B1: every ability of the four settings, and what becomes of it for each role.  o is the organization.
CREATE TEMP TABLE abilities (area text, ability text, statement text, organization_admin text, billing_admin text, user_admin text, member text);
INSERT INTO abilities VALUES
    ('general', 'see the organization', 'EXISTS (SELECT FROM orgusers.organizations WHERE id = o)', 'yes', 'yes', 'yes', 'unseen'),
    ('general', 'rename it', 'orgusers.rename_organization(o, ''Acme 2'')', 'yes', 'OU002', 'OU002', 'OU002'),
    ('general', 'delete it', 'orgusers.delete_organization(o)', 'yes', 'OU002', 'OU002', 'OU002'),
    ('users', 'list users', '(SELECT count(*) >= 8 FROM orgusers.list_users(o))', 'yes', 'yes', 'yes', 'OU002'),
    ('users', 'see users', '(SELECT count(*) >= 8 FROM orgusers.memberships WHERE org_id = o)', 'yes', 'yes', 'yes', 'unseen'),
    ('users', 'list invitations', '(SELECT count(*) = 1 FROM orgusers.list_invitations(o))', 'yes', 'yes', 'yes', 'OU002'),
    ('users', 'invite somebody', 'orgusers.invite_user(o, ''x@example.org'')', 'yes', 'OU002', 'yes', 'OU002'),
    ('users', 'invite a Member', 'orgusers.invite_user(o, ''x@example.org'', ''{Member}'')', 'yes', 'OU002', 'yes', 'OU002'),
    ('users', 'invite a User Admin', 'orgusers.invite_user(o, ''x@example.org'', ''{User Admin}'')', 'yes', 'OU002', 'OU108', 'OU002'),
    ('users', 'invite a Billing Admin', 'orgusers.invite_user(o, ''x@example.org'', ''{Billing Admin}'')', 'yes', 'OU002', 'OU108', 'OU002'),
    ('users', 'invite an Organization Admin', 'orgusers.invite_user(o, ''x@example.org'', ''{Organization Admin}'')', 'yes', 'OU002', 'OU108', 'OU002'),
    ('users', 'invite a Member with more', 'orgusers.invite_user(o, ''x@example.org'', ''{Member,User Admin}'')', 'yes', 'OU002', 'OU108', 'OU002'),
    ('users', 'send an invitation again', 'orgusers.resend_invitation(o, inv(''Acme'', ''pia''))', 'yes', 'OU002', 'yes', 'OU002'),
    ('users', 'withdraw an invitation', 'orgusers.cancel_invitation(o, inv(''Acme'', ''pia''))', 'yes', 'OU002', 'yes', 'OU002'),
    ('users', 'get the link of an invitation', 'orgusers.invitation_link(o, inv(''Acme'', ''pia''))', 'yes', 'OU002', 'yes', 'OU002'),
    ('users', 'remove a Member', 'orgusers.remove_user(o, person(''fay''))', 'yes', 'OU002', 'yes', 'OU002'),
    ('users', 'remove a User Admin', 'orgusers.remove_user(o, person(''gus''))', 'yes', 'OU002', 'OU108', 'OU002'),
    ('users', 'remove a Billing Admin', 'orgusers.remove_user(o, person(''una''))', 'yes', 'OU002', 'OU108', 'OU002'),
    ('users', 'remove an Organization Admin', 'orgusers.remove_user(o, person(''eve''))', 'yes', 'OU002', 'OU108', 'OU002'),
    ('users', 'promote a Member', 'orgusers.set_user_roles(o, person(''fay''), ''{User Admin}'')', 'yes', 'OU002', 'OU002', 'OU002'),
    ('users', 'promote to Organization Admin', 'orgusers.set_user_roles(o, person(''gus''), ''{Organization Admin}'')', 'yes', 'OU002', 'OU002', 'OU002'),
    ('users', 'demote a User Admin', 'orgusers.set_user_roles(o, person(''gus''), ''{Member}'')', 'yes', 'OU002', 'OU002', 'OU002'),
    ('users', 'demote an Organization Admin', 'orgusers.set_user_roles(o, person(''eve''), ''{Member}'')', 'yes', 'OU002', 'OU002', 'OU002'),
    ('users', 'promote oneself', 'orgusers.set_user_roles(o, orgusers.current_user_id(), ''{Organization Admin}'')', 'yes', 'OU002', 'OU002', 'OU002'),
    ('users', 'take a Member''s role', 'orgusers.set_user_roles(o, person(''fay''), ''{}'')', 'yes', 'OU002', 'OU002', 'OU002'),
    ('users', 'deactivate a Member', 'orgusers.deactivate_user(o, person(''fay''))', 'yes', 'OU002', 'OU002', 'OU002'),
    ('spaces', 'see all spaces', '(SELECT count(*) = 2 FROM orgusers.spaces WHERE org_id = o)', 'yes', 'yes', 'yes', 'unseen'),
    ('spaces', 'make a space', 'orgusers.create_space(o, ''green'')', 'yes', 'OU002', 'yes', 'OU002'),
    ('spaces', 'rename a space', 'orgusers.rename_space(o, ''red'', ''green'')', 'yes', 'OU002', 'yes', 'OU002'),
    ('spaces', 'delete a space', 'orgusers.delete_space(o, ''red'')', 'yes', 'OU002', 'yes', 'OU002'),
    ('spaces', 'assign spaces to a Member', 'orgusers.set_user_spaces(o, person(''fay''), ''{red,blue}'')', 'yes', 'OU002', 'yes', 'OU002'),
    ('spaces', 'assign spaces to an Organization Admin', 'orgusers.set_user_spaces(o, person(''eve''), ''{red}'')', 'yes', 'OU002', 'yes', 'OU002'),
    ('spaces', 'take a Member''s spaces', 'orgusers.set_user_spaces(o, person(''dan''), ''{}'')', 'yes', 'OU002', 'yes', 'OU002'),
    ('general', 'see its roles', '(SELECT count(*) = 4 FROM orgusers.list_roles(o))', 'yes', 'yes', 'yes', 'OU002'),
    ('general', 'read the audit trail', '(SELECT count(*) > 0 FROM orgusers.list_audit(o))', 'yes', 'OU002', 'OU002', 'OU002'),
    ('users', 'list users with who is pending', '(SELECT count(*) = 1 FROM orgusers.list_users(o, statuses => ''{pending}''))', 'yes', 'yes', 'yes', 'OU002'),
    ('users', 'invite in bulk', '(SELECT count(*) FROM orgusers.invite_users(o, ''[{"email": "x@example.org"}]''))', 'yes', 'OU002', 'yes', 'OU002'),
    ('users', 'hand the organization over', 'orgusers.hand_over(o, person(''fay''))', 'yes', 'OU108', 'OU108', 'OU108'),
    ('spaces', 'see who is in any space', '(SELECT count(*) = 0 FROM orgusers.list_space_users(o, ''blue''))', 'yes', 'yes', 'yes', 'OU111'),
    ('spaces', 'assign a further space', 'orgusers.assign_spaces(o, person(''fay''), ''{red}'')', 'yes', 'OU002', 'yes', 'OU002'),
    ('spaces', 'take a space', 'orgusers.unassign_spaces(o, person(''dan''), ''{red}'')', 'yes', 'OU002', 'yes', 'OU002'),
    ('spaces', 'assign spaces to who is invited', 'orgusers.set_invitation_spaces(o, inv(''Acme'', ''pia''), ''{red}'')', 'yes', 'OU002', 'yes', 'OU002'),
    ('billing', 'see statements', '(SELECT count(*) >= 0 FROM orgusers.billing_statement(o, current_date))', 'yes', 'yes', 'OU002', 'OU002'),
    ('billing', 'see the use of seats', '(SELECT count(*) >= 0 FROM orgusers.seat_usage(o, now() - interval ''1 day'', now()))', 'yes', 'yes', 'OU002', 'OU002'),
    ('billing', 'change the billing admin', 'orgusers.set_billing_admin(o, person(''una''))', 'yes', 'yes', 'OU002', 'OU002'),
    ('billing', 'change the billing addresses', 'orgusers.set_billing_cc(o, ''{cc@example.org}'')', 'yes', 'yes', 'OU002', 'OU002'),
    ('billing', 'change the subscription', 'orgusers.require(o, ''subscription.manage'')', 'yes', 'yes', 'OU002', 'OU002'),
    -- in nobody's settings, but in the lists of what each may do
    ('information', 'see the billing information', '(SELECT plan = ''business'' FROM orgusers.billing_contact(o))', 'yes', 'yes', 'yes', 'OU002'),
    ('information', 'see the subscription', 'EXISTS (SELECT FROM orgusers.subscriptions WHERE org_id = o)', 'yes', 'yes', 'yes', 'unseen');

CREATE TEMP TABLE tried AS SELECT ''::text AS role, area, ability, ''::text AS expected, ''::text AS outcome FROM abilities LIMIT 0;
DO $$
DECLARE
    a record;
BEGIN
    FOR a IN SELECT t.*, r.* FROM abilities t, LATERAL (VALUES ('Organization Admin', 'ann', organization_admin), ('Billing Admin', 'bob', billing_admin),
                                                       ('User Admin', 'cyd', user_admin), ('Member', 'dan', member)) AS r (role, who, expected) LOOP
        PERFORM act(a.who);
        INSERT INTO tried VALUES (a.role, a.area, a.ability, a.expected,
            pg_temp.outcome('SELECT ' || regexp_replace(a.statement, '\mo\M', quote_literal(org('Acme')) || '::uuid')));
    END LOOP;
END $$;
SELECT is(outcome, expected, format('B%s: %s, %s settings: %s', CASE WHEN role = 'Billing Admin' AND area = 'users' THEN 3 WHEN role = 'User Admin' AND area = 'users' THEN 4
                                                                    WHEN ability = 'delete it' THEN 10 ELSE 1 END, role, area, ability)) FROM tried;
CREATE TEMP VIEW matrix AS
    SELECT role, area, CASE WHEN bool_and(outcome = 'yes') THEN 'full' WHEN bool_or(outcome = 'yes') THEN 'limited' ELSE 'none' END AS access
    FROM tried WHERE area <> 'information' GROUP BY role, area;
SELECT is(m.access, e.access, format('B1: the %s has %s access to the %s settings', e.role, e.access, e.area))
    FROM (SELECT r.role, a.area, a.access FROM (VALUES
            ('Organization Admin', 'full',    'full',    'full',    'full'),
            ('Billing Admin',      'limited', 'limited', 'limited', 'full'),
            ('User Admin',         'limited', 'limited', 'full',    'none'),
            ('Member',             'none',    'none',    'none',    'none')) AS r (role, general, users, spaces, billing),
          LATERAL (VALUES ('general', general), ('users', users), ('spaces', spaces), ('billing', billing)) AS a (area, access)) AS e
    LEFT JOIN matrix m USING (role, area);
SELECT results_eq($$SELECT role, bool_and(access <> 'none') FROM matrix GROUP BY role ORDER BY role$$,
    $$VALUES ('Billing Admin', true), ('Member', false), ('Organization Admin', true), ('User Admin', false)$$, 'B1: Organization and Billing Admins get to all settings, the others do not');
SELECT set_eq($$SELECT id, name FROM orgusers.role_templates WHERE policy = 'spaces'$$,
    $$VALUES ('organization_admin', 'Organization Admin'), ('billing_admin', 'Billing Admin'), ('user_admin', 'User Admin'), ('member', 'Member')$$, 'B1: there are four roles');
SELECT act('ann');
SELECT throws_ok(format($$SELECT orgusers.set_user_roles(org('Acme'), person('fay'), '{%s}')$$, r), 'OU103', NULL, 'B1: and none called ' || r) FROM unnest(ARRAY['ADMIN', 'member', 'Owner']) r;
-- The seats' time is statements' matter.
RESET ROLE;
INSERT INTO orgusers.seat_ledger VALUES (org('Acme'), person('dan'), now() - interval '2 days', now() - interval '1 day');
SET LOCAL ROLE regress_ou_app;
SELECT act('cyd');
SELECT is_empty('SELECT FROM orgusers.seat_ledger', 'B1: a User Admin is shown no time of seats');
SELECT act('bob');
SELECT is((SELECT count(*)::int FROM orgusers.seat_ledger), 1, 'B1: a Billing Admin is');
SELECT act('ann');

-- B6: the list
SELECT act('dan');
SELECT lives_ok($$SELECT orgusers.update_profile('Dan', 'https://example.org/dan.png', 'en')$$, 'B6: a Member has a picture');
SELECT lives_ok($$SELECT orgusers.record_activity(org('Acme'))$$, 'B6: and is active');
SELECT act('cyd');
SELECT results_eq($$SELECT avatar_url, display_name, roles, email::text, CASE status WHEN 'pending' THEN 'Pending' ELSE coalesce((last_active_at > now() - interval '1 minute')::text, 'never') END
                    FROM orgusers.list_users(org('Acme'), statuses => '{active,pending}') WHERE email IN ('dan@example.org', 'fay@example.org', 'pia@example.org')$$,
    $$VALUES ('https://example.org/dan.png', 'Dan', '{Member}'::text[], 'dan@example.org', 'true'), (NULL, 'Fay', '{Member}', 'fay@example.org', 'never'),
             (NULL, NULL, '{Member}', 'pia@example.org', 'Pending')$$, 'B6: the list has avatar, name, role, address and last activity, or Pending');
SELECT is((SELECT string_agg(split_part(email::text, '@', 1), ' ') FROM orgusers.list_users(org('Acme'), term, statuses => '{active,pending}')), found, 'B6: it is searched: ' || term)
    FROM (VALUES ('dAN', 'dan'), ('pia@', 'pia'), ('a@example', 'pia una'), ('nobody', NULL), ('%', NULL), ('example.org', 'ann bob cyd dan eve fay gus pia una')) AS v (term, found);
SELECT act('ann');

-- An outsider gets nowhere, and learns nothing.
SELECT lives_ok($$SELECT orgusers.remove_user(org('Acme'), person('gus'))$$, 'B1: an Organization Admin removes a User Admin');
SELECT act('gus');
SELECT is(pg_temp.outcome('SELECT ' || regexp_replace(statement, '\mo\M', quote_literal(org('Acme')) || '::uuid')),
          CASE WHEN statement ~ '^(EXISTS|.SELECT.*FROM orgusers\.\w+ WHERE)' THEN 'unseen' ELSE 'OU101' END, format('B1: who was removed, %s settings: %s', area, ability)) FROM abilities;

-- B2: the last Organization Admin
SELECT act('ann');
SELECT lives_ok($$SELECT orgusers.set_user_roles(org('Acme'), person('eve'), '{Member}')$$, 'B2: one of two Organization Admins is demoted');
SELECT throws_ok($$SELECT orgusers.set_user_roles(org('Acme'), person('ann'), '{Member}')$$, 'OU303', NULL, 'B2: the last Organization Admin is not demoted');
SELECT throws_ok($$SELECT orgusers.set_user_roles(org('Acme'), person('ann'), NULL)$$, 'OU303', NULL, 'B2: nor left without a role');
SELECT throws_ok($$SELECT orgusers.remove_user(org('Acme'), person('ann'))$$, 'OU109', NULL, 'B8: nobody removes themselves');
SELECT throws_ok($$SELECT orgusers.deactivate_user(org('Acme'), person('ann'))$$, 'OU109', NULL, 'B8: nor deactivates themselves');
SELECT throws_ok($$SELECT * FROM orgusers.leave_organization(org('Acme'), (SELECT confirmation FROM orgusers.preview_leaving(org('Acme'))))$$, 'OU109', NULL, 'B8: nor leaves: it takes another user');
-- With the switch on, the rule of the last one stands behind it.
SELECT as_owner($$UPDATE orgusers.policies SET self_removal = true, leaving = true WHERE id = 'spaces'$$);
SELECT lives_ok($$SELECT orgusers.set_billing_admin(org('Acme'), person('bob'))$$, 'B2: the billing admin of the subscription may be of any role');
SELECT throws_ok($$SELECT orgusers.remove_user(org('Acme'), person('ann'))$$, 'OU303', NULL, 'B2: the last Organization Admin is not removed');
SELECT throws_ok($$SELECT orgusers.deactivate_user(org('Acme'), person('ann'))$$, 'OU303', NULL, 'B2: nor deactivated');
SELECT throws_ok($$SELECT * FROM orgusers.leave_organization(org('Acme'), (SELECT confirmation FROM orgusers.preview_leaving(org('Acme'))))$$, 'OU303', NULL, 'B2: nor leaves');
SELECT as_owner($$UPDATE orgusers.policies SET self_removal = false, leaving = false WHERE id = 'spaces'$$);
RESET ROLE;
SELECT throws_ok(format($$SELECT and_commit(%L)$$, s), 'OU303', NULL, 'B2: nor taken away by the owner: ' || split_part(s, ' ', 1) || ' ' || split_part(s, ' ', 3))
    FROM unnest(ARRAY[format('DELETE FROM orgusers.memberships WHERE org_id = %L AND user_id = %L', org('Acme'), person('ann')),
                      format('DELETE FROM orgusers.membership_roles WHERE org_id = %L AND user_id = %L', org('Acme'), person('ann')),
                      format('UPDATE orgusers.memberships SET status = ''deactivated'', deactivated_at = now() WHERE org_id = %L AND user_id = %L', org('Acme'), person('ann')),
                      format('DELETE FROM orgusers.users WHERE id = %L', person('ann'))]) s;
SET LOCAL ROLE regress_ou_app;
SELECT lives_ok($$SELECT orgusers.set_user_roles(org('Acme'), person('eve'), '{Organization Admin}')$$, 'B2: another is promoted');
SELECT lives_ok($$SELECT orgusers.set_user_roles(org('Acme'), person('ann'), '{Member}')$$, 'B2: and then the first may step down');
SELECT is(roles_of('Acme', 'ann'), 'Member', 'B2: as a Member');
SELECT act('eve');
SELECT lives_ok($$SELECT orgusers.set_user_roles(org('Acme'), person('ann'), '{Organization Admin}')$$, 'B2: and is promoted by the other');

-- B3: the Billing Admin and the billing admin
SELECT act('bob');
SELECT is((SELECT count(*)::int FROM orgusers.list_users(org('Acme'))), 7, 'B3: a Billing Admin sees all users');
SELECT is((SELECT billing_admin FROM orgusers.billing_contact(org('Acme'))), 'Bob', 'B3: and who the billing admin is');
SELECT lives_ok($$SELECT orgusers.set_billing_admin(org('Acme'), person('dan'))$$, 'B3: whom a Billing Admin chooses among all users');
SELECT act('dan');
SELECT throws_ok($$SELECT orgusers.billing_contact(org('Acme'))$$, 'OU002', NULL, 'B3: being the billing admin gives a Member no access to settings');
SELECT act('ann');
SELECT throws_ok($$SELECT orgusers.remove_user(org('Acme'), person('dan'))$$, 'OU302', NULL, 'B3: but the billing admin of a paid plan is not removed');
SELECT lives_ok($$SELECT orgusers.set_billing_admin(org('Acme'), person('bob'))$$, 'B3: before another is');

-- B4: what a User Admin gives is a Member's
SELECT act('cyd');
SELECT lives_ok($$SELECT orgusers.invite_user(org('Acme'), 'gus@example.org')$$, 'B4: a User Admin invites without naming a role');
SELECT is((SELECT roles FROM orgusers.list_invitations(org('Acme'), 'pending') WHERE email = 'gus@example.org'), '{Member}', 'B4: which makes a Member');
SELECT throws_ok($$SELECT orgusers.remove_user(org('Acme'), person('cyd'))$$, 'OU109', NULL, 'B8: a User Admin does not remove themselves either');
SELECT act('ann');
SELECT lives_ok($$SELECT orgusers.set_user_roles(org('Acme'), person('fay'), '{Member,Billing Admin}')$$, 'B4: a Member who is more');
SELECT act('cyd');
SELECT throws_ok($$SELECT orgusers.remove_user(org('Acme'), person('fay'))$$, 'OU108', NULL, 'B4: is not a User Admin''s to remove');
SELECT act('ann');
SELECT lives_ok($$SELECT orgusers.invite_user(org('Acme'), 'kim@example.org', '{Billing Admin}')$$, 'B4: an invitation as a Billing Admin');
SELECT act('cyd');
SELECT throws_ok($$SELECT orgusers.resend_invitation(org('Acme'), inv('Acme', 'kim'))$$, 'OU108', NULL, 'B4: is not a User Admin''s to send again');
SELECT throws_ok($$SELECT orgusers.set_user_permissions(org('Acme'), person('dan'), '{users.view}')$$, 'OU002', NULL, 'B4: nor are single permissions to give');
SELECT lives_ok($$SELECT orgusers.set_user_spaces(org('Acme'), person('eve'), '{red,blue}')$$, 'B4: but the spaces of everyone are, an Organization Admin''s');
SELECT lives_ok($$SELECT orgusers.set_user_spaces(org('Acme'), person('bob'), '{red}')$$, 'B4: a Billing Admin''s');
SELECT lives_ok($$SELECT orgusers.set_user_spaces(org('Acme'), person('cyd'), '{red}')$$, 'B4: and their own');

-- B5: Members and spaces
SELECT as_owner($$SELECT orgusers.register_permission('notes.read', 'Read notes', 'space')$$);
SELECT as_owner($$INSERT INTO orgusers.role_template_permissions SELECT 'spaces', id, 'notes.read' FROM orgusers.role_templates WHERE policy = 'spaces' AND id <> 'user_admin'$$);
CREATE FUNCTION pg_temp.sees(who text) RETURNS text LANGUAGE sql AS $$
    SELECT act(who);
    SELECT coalesce(string_agg(name, ' ' ORDER BY name), '') || ' / ' ||
           coalesce(string_agg(name, ' ' ORDER BY name) FILTER (WHERE orgusers.can(org_id, id, 'notes.read')), '') FROM orgusers.spaces WHERE org_id = org('Acme') $$;
SELECT is(pg_temp.sees('dan'), 'red / red', 'B5: a Member sees the space that is assigned, and what is in it');
SELECT is(pg_temp.sees('ann'), 'blue red / blue red', 'B5: an Organization Admin all spaces, without being assigned');
SELECT is(pg_temp.sees('bob'), 'blue red / blue red', 'B1: so does a Billing Admin');
SELECT is(pg_temp.sees('cyd'), 'blue red / ', 'B5: a permission that a role has not is not in the spaces that it sees');
SELECT act('cyd');
SELECT lives_ok($$SELECT orgusers.set_user_spaces(org('Acme'), person('dan'), '{blue}')$$, 'B5: spaces are edited');
SELECT is(pg_temp.sees('dan'), 'blue / blue', 'B5: and the Member sees the other one, at once');
SELECT act('cyd');
SELECT orgusers.set_user_spaces(org('Acme'), person('dan'), '{}');
SELECT is(pg_temp.sees('dan'), ' / ', 'B5: or none');
SELECT is((SELECT count(*)::int FROM orgusers.my_organizations()), 1, 'B5: but knows the organization');
SELECT is(orgusers.spaces_with('notes.read'), '{}', 'B5: and is in no space');

-- B7: spaces after adding
SELECT act('ann');
SELECT orgusers.create_space(org('Acme'), format('room %s', n)) IS NOT NULL FROM generate_series(1, 12) n \g /dev/null
SELECT act('cyd');
SELECT as_owner($$SELECT orgusers.register_user('lea@example.org', 'Lea', email_verified => true)$$);
SELECT lives_ok($$SELECT orgusers.invite_user(org('Acme'), 'lea@example.org')$$, 'B7: a user is added; spaces are skipped');
CREATE FUNCTION pg_temp.rooms(first int, last int) RETURNS text[] LANGUAGE sql AS $$ SELECT array_agg(format('room %s', n)) FROM generate_series(first, last) n $$;
SELECT throws_ok($$SELECT orgusers.set_invitation_spaces(org('Acme'), inv('Acme', 'lea'), pg_temp.rooms(1, 11))$$, 'OU118', NULL, 'B7: eleven spaces are too many for one call');
SELECT throws_ok($$SELECT orgusers.invite_user(org('Acme'), 'x@example.org', spaces => pg_temp.rooms(1, 11))$$, 'OU118', NULL, 'B7: with the invitation, too');
SELECT lives_ok($$SELECT orgusers.set_invitation_spaces(org('Acme'), inv('Acme', 'lea'), pg_temp.rooms(1, 10))$$, 'B7: ten are assigned before the invitation is accepted');
SELECT throws_ok($$SELECT orgusers.set_invitation_spaces(org('Acme'), inv('Acme', 'lea'), '{nowhere}')$$, 'OU111', NULL, 'B7: of the organization''s');
SELECT act('bob');
SELECT throws_ok($$SELECT orgusers.set_invitation_spaces(org('Acme'), inv('Acme', 'lea'), '{red}')$$, 'OU002', NULL, 'B7: not by a Billing Admin');
SELECT act('lea');
SELECT is_empty('SELECT FROM orgusers.spaces', 'B7: who has not accepted sees none of them');
SELECT lives_ok($$SELECT orgusers.accept_my_invitation(org_id, id) FROM orgusers.my_invitations()$$, 'B7: the invitation is accepted');
SELECT is((SELECT count(*)::int FROM orgusers.spaces), 10, 'B7: and all ten are there');
SELECT throws_ok($$SELECT orgusers.assign_spaces(org('Acme'), person('lea'), '{red}')$$, 'OU002', NULL, 'B7: a Member assigns none');
SELECT act('cyd');
SELECT lives_ok($$SELECT orgusers.assign_spaces(org('Acme'), person('lea'), pg_temp.rooms(11, 12))$$, 'B7: further ones follow by further calls');
SELECT throws_ok($$SELECT orgusers.assign_spaces(org('Acme'), person('fay'), pg_temp.rooms(1, 11))$$, 'OU118', NULL, 'B7: each of ten at most');
SELECT throws_ok($$SELECT orgusers.set_user_spaces(org('Acme'), person('fay'), pg_temp.rooms(1, 11))$$, 'OU118', NULL, 'B7: whichever it is');
SELECT act('lea');
SELECT is((SELECT count(*)::int FROM orgusers.spaces), 12, 'B7: twelve in all');
SELECT act('cyd');
SELECT lives_ok($$SELECT orgusers.remove_user(org('Acme'), person('lea'))$$, 'B7: added by mistake');

-- B9: deleting a user
RESET ROLE;
CREATE TABLE contacts (
    org_id      uuid NOT NULL REFERENCES orgusers.organizations ON DELETE CASCADE,
    space_id    uuid NOT NULL,
    name        text NOT NULL,
    assigned_to uuid,
    PRIMARY KEY (org_id, name),
    FOREIGN KEY (org_id, space_id) REFERENCES orgusers.spaces ON DELETE CASCADE,
    FOREIGN KEY (org_id, assigned_to) REFERENCES orgusers.memberships ON DELETE SET NULL (assigned_to)
);
CREATE INDEX ON contacts (org_id, assigned_to);
SELECT act('eve');
SELECT orgusers.create_organization('Other', 'spaces') AS other \gset
SELECT enlist('Other', 'dan', 'Member'), orgusers.create_space(:'other', 'red') IS NOT NULL;
SELECT orgusers.set_user_spaces(:'other', person('dan'), '{red}');
SELECT act('ann');
SELECT orgusers.set_user_spaces(org('Acme'), person('dan'), '{red,blue}');
INSERT INTO contacts SELECT org_id, id, 'one in ' || name, person('dan') FROM orgusers.spaces WHERE org_id IN (org('Acme'), :'other') AND name IN ('red', 'blue');
INSERT INTO contacts SELECT org_id, id, 'two in ' || name, person('fay') FROM orgusers.spaces WHERE org_id = org('Acme') AND name IN ('red', 'blue');
SET LOCAL ROLE regress_ou_app;
SELECT lives_ok($$SELECT orgusers.deactivate_user(org('Acme'), person('dan'))$$, 'B9: a Member is deactivated');
SELECT as_owner($$INSERT INTO contacts SELECT org_id, id, 'three', assigned_to FROM contacts c JOIN orgusers.spaces s USING (org_id) WHERE c.name = 'one in red' AND c.org_id = org('Acme') AND s.name = 'red'$$);
SELECT lives_ok($$SELECT orgusers.reactivate_user(org('Acme'), person('dan'))$$, 'B9: which unassigns nothing');
SELECT act('cyd');
SELECT lives_ok($$SELECT orgusers.remove_user(org('Acme'), person('dan'))$$, 'B9: a User Admin deletes a Member');
SELECT is_empty($$SELECT FROM orgusers.space_members WHERE org_id = org('Acme') AND user_id = person('dan')$$, 'B9: with all access to spaces');
SELECT is(pg_temp.sees('dan'), ' / ', 'B9: who sees no space any more');
RESET ROLE;
SELECT results_eq($$SELECT name, assigned_to FROM contacts WHERE org_id = org('Acme') ORDER BY name COLLATE "C"$$,
    $$VALUES ('one in blue', NULL), ('one in red', NULL), ('three', NULL), ('two in blue', person('fay')), ('two in red', person('fay'))$$, 'B9: the application''s rows are unassigned, those of others stay as they are');
SELECT is((SELECT assigned_to FROM contacts WHERE org_id = :'other'), person('dan'), 'B9: and so do those of another organization');
SELECT is((SELECT count(*)::int FROM orgusers.space_members WHERE org_id = :'other'), 1, 'B9: with the access to spaces there');
SET LOCAL ROLE regress_ou_app;
SELECT matches(mails('dan'), 'user_removed$', 'B9: the user gets mail');

-- B10
SELECT act('ann');
SELECT lives_ok($$SELECT orgusers.delete_organization(org('Acme'))$$, 'B10: an Organization Admin deletes the organization');
SELECT is(active('Acme'), '', 'B10: with its users');
RESET ROLE;
SELECT is((SELECT count(*)::int FROM contacts), 1, 'B10: and the application''s rows, as their foreign key says');

SELECT * FROM finish();
ROLLBACK;
