-- Limits of a policy: spaces of a role, spaces a call, invitations a day; and spaces that are assigned with an invitation.
BEGIN;
\ir setup.psql
SELECT no_plan();

-- A policy with a role for all spaces, one for assigned spaces, one for a single space, and one that only invites.
INSERT INTO orgusers.policies (id, title, default_plan, product_name, accept_url, mail_from, invitation_lifetime, daily_invitations, spaces_per_call)
    VALUES ('limits', 'Limits', 'paid', 'Limits', 'https://example.org/#{{token}}', 'no-reply@example.org', '1 day', NULL, 3);
SELECT orgusers.install_mail_templates('limits');
INSERT INTO orgusers.role_templates (policy, id, name, founder, by_default, all_spaces, most_spaces) VALUES
    ('limits', 'admin', 'ADMIN', true, false, true, NULL), ('limits', 'keeper', 'KEEPER', false, false, true, NULL),
    ('limits', 'host', 'HOST', false, false, true, NULL),
    ('limits', 'limited', 'LIMITED', false, true, false, NULL), ('limits', 'guest', 'GUEST', false, false, false, 1),
    ('limits', 'pair', 'PAIR', false, false, false, 2);
INSERT INTO orgusers.role_template_permissions (policy, template, permission)
    SELECT 'limits', 'admin', unnest(ARRAY['organization.view', 'users.view', 'users.invite', 'users.remove', 'users.deactivate', 'roles.assign', 'groups.manage',
                                           'spaces.view', 'spaces.manage', 'spaces.assign', 'organization.delete'])
    UNION ALL SELECT 'limits', 'keeper', unnest(ARRAY['spaces.view', 'spaces.assign'])
    UNION ALL SELECT 'limits', 'host', unnest(ARRAY['users.view', 'users.invite'])
    UNION ALL SELECT 'limits', t, 'spaces.view' FROM unnest(ARRAY['limited', 'guest', 'pair']) t;
INSERT INTO orgusers.role_template_grants
    SELECT 'limits', 'admin', id FROM orgusers.role_templates WHERE policy = 'limits' UNION ALL SELECT 'limits', 'host', 'limited';

-- Spaces of a user, directly and by groups, for an invitation, and what the actor sees.
CREATE FUNCTION spaces_of(who text) RETURNS text LANGUAGE sql SECURITY DEFINER AS
    $$ SELECT coalesce(string_agg(DISTINCT s.name, ' ' ORDER BY s.name), '') FROM orgusers.assigned_spaces a JOIN orgusers.spaces s ON s.org_id = a.org_id AND s.id = a.space_id
       WHERE a.org_id = org('Acme') AND a.user_id = person(who) $$;
CREATE FUNCTION spaces_for(who text) RETURNS text LANGUAGE sql SECURITY DEFINER AS
    $$ SELECT coalesce(string_agg(s.name, ' ' ORDER BY s.name), '') FROM orgusers.invitation_spaces i JOIN orgusers.spaces s ON s.org_id = i.org_id AND s.id = i.space_id
       WHERE i.org_id = org('Acme') AND i.invitation_id = inv('Acme', who) $$;
CREATE FUNCTION space(called text) RETURNS uuid LANGUAGE sql SECURITY DEFINER AS $$ SELECT id FROM orgusers.spaces WHERE org_id = org('Acme') AND name = called $$;
CREATE FUNCTION role(called text) RETURNS uuid LANGUAGE sql SECURITY DEFINER AS $$ SELECT id FROM orgusers.roles WHERE org_id = org('Acme') AND name = called $$;
CREATE FUNCTION grp(called text) RETURNS uuid LANGUAGE sql SECURITY DEFINER AS $$ SELECT id FROM orgusers.groups WHERE org_id = org('Acme') AND name = called $$;
CREATE FUNCTION seen(who text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM act(who);
    RETURN (SELECT coalesce(string_agg(name, ' ' ORDER BY name), '') FROM orgusers.spaces);
END $$;

SELECT act('ann');
SELECT orgusers.create_organization('Acme', 'limits') AS acme \gset
SELECT enlist('Acme', 'bob', 'LIMITED'), enlist('Acme', 'cyd', 'GUEST'), enlist('Acme', 'dan', 'KEEPER'), enlist('Acme', 'gus', 'HOST');
SELECT orgusers.create_space(:'acme', name) IS NOT NULL FROM unnest(ARRAY['one', 'two', 'three', 'four', 'five']) name;
SELECT orgusers.create_group(:'acme', 'pack') IS NOT NULL;
SET LOCAL ROLE regress_ou_app;

-- Assigning
SELECT act('dan');
SELECT is(seen('bob'), '', 'C4: a user for assigned spaces sees none before one is assigned');
SELECT is(seen('cyd'), '', 'C4: nor does a guest');
SELECT is(seen('dan'), 'five four one three two', 'B5: a role for all spaces sees all');
SELECT lives_ok(format($$SELECT orgusers.assign_spaces(%L, %L, '{one,two,three}')$$, :'acme', person('bob')), 'B7: as many spaces as the policy allows are assigned in one call');
SELECT throws_ok(format($$SELECT orgusers.set_user_spaces(%L, %L, '{one,two,three,four}')$$, :'acme', person('gus')), 'OU118', NULL, 'B7: more are not');
SELECT throws_like(format($$SELECT orgusers.set_user_spaces(%L, %L, '{one,two,three,four}')$$, :'acme', person('gus')), '4 new spaces%', 'B7: the error says how many were asked for');
SELECT is(spaces_of('gus'), '', 'B7: a refused call assigns none');
SELECT lives_ok(format($$SELECT orgusers.assign_spaces(%L, %L, '{one,two,three,four}')$$, :'acme', person('bob')), 'B7: what is assigned before does not count');
SELECT lives_ok(format($$SELECT orgusers.set_user_spaces(%L, %L, '{one,two,three,four,five}')$$, :'acme', person('bob')), 'B7: further calls assign more');
SELECT is(seen('bob'), 'five four one three two', 'B5: they are seen');
SELECT act('dan');
SELECT orgusers.unassign_spaces(:'acme', person('bob'), '{four,five}');
SELECT is(spaces_of('bob'), 'one three two', 'B5: unassign_spaces takes these, and leaves the others');
SELECT is(seen('bob'), 'one three two', 'B5: who is assigned sees no other');
SELECT act('bob');
SELECT throws_ok(format('SELECT orgusers.%s', call), 'OU002', NULL, 'B5: who may not assign spaces may not: ' || regexp_replace(call, '\(.*', ''))
    FROM unnest(ARRAY[format($$assign_spaces(%L, %L, '{four}')$$, :'acme', person('bob')), format($$unassign_spaces(%L, %L, '{one}')$$, :'acme', person('cyd')),
                      format($$set_invitation_spaces(%L, %L, '{one}')$$, :'acme', person('cyd'))]) call;
SELECT act('dan');
SELECT throws_ok(format('SELECT orgusers.%s', call), state, NULL, format('B7: %s: %s', state, regexp_replace(call, '\(.*', '')))
    FROM (VALUES ('OU102', format($$assign_spaces(%L, %L, '{one}')$$, :'acme', person('eve'))), ('OU111', format($$assign_spaces(%L, %L, '{none}')$$, :'acme', person('bob'))),
                 ('OU102', format($$unassign_spaces(%L, %L, '{one}')$$, :'acme', person('eve'))), ('OU111', format($$unassign_spaces(%L, %L, '{NULL}')$$, :'acme', person('bob'))),
                 ('OU211', format($$set_invitation_spaces(%L, %L, '{one}')$$, :'acme', person('bob')))) AS v (state, call);
SELECT lives_ok(format($$SELECT orgusers.assign_spaces(%L, %L, NULL)$$, :'acme', person('bob')), 'B7: assigning nothing is no error');

-- C1: a single space
SELECT lives_ok(format($$SELECT orgusers.set_user_spaces(%L, %L, '{one}')$$, :'acme', person('cyd')), 'C1: a guest is assigned to a single space');
SELECT throws_ok(format($$SELECT orgusers.assign_spaces(%L, %L, '{two}')$$, :'acme', person('cyd')), 'OU306', NULL, 'C1: not to a second one');
SELECT throws_ok(format($$SELECT orgusers.set_user_spaces(%L, %L, '{one,two}')$$, :'acme', person('cyd')), 'OU306', NULL, 'C1: nor to two at once');
SELECT lives_ok(format($$SELECT orgusers.set_user_spaces(%L, %L, '{two}')$$, :'acme', person('cyd')), 'C1: to another one instead');
SELECT is(seen('cyd'), 'two', 'C1: the guest sees that one only');
SELECT act('ann');
SELECT throws_ok(format($$SELECT orgusers.set_user_roles(%L, %L, '{GUEST}')$$, :'acme', person('bob')), 'OU306', NULL, 'C1: who has several spaces does not become a guest');
SELECT throws_ok(format($$SELECT orgusers.set_user_roles(%L, %L, '{GUEST,ADMIN}')$$, :'acme', person('bob')), 'OU306', NULL, 'C1: not beside a role that reaches all spaces either');
SELECT orgusers.set_user_spaces(:'acme', person('bob'), '{one,two}');
SELECT lives_ok(format($$SELECT orgusers.set_user_roles(%L, %L, '{PAIR}')$$, :'acme', person('bob')), 'C1: the number is the role''s');
SELECT throws_ok(format($$SELECT orgusers.set_user_roles(%L, %L, '{PAIR,GUEST}')$$, :'acme', person('bob')), 'OU306', NULL, 'C1: of several roles, the smallest');
SELECT orgusers.set_user_roles(:'acme', person('bob'), '{LIMITED}');

-- by groups
SELECT lives_ok(format($$SELECT orgusers.set_group_spaces(%L, 'pack', '{one,two,three,four,five}')$$, :'acme'), 'B7: the number a call is not for groups');
SELECT throws_ok(format($$SELECT orgusers.set_user_groups(%L, %L, '{pack}')$$, :'acme', person('cyd')), 'OU306', NULL, 'C1: a guest is not put in a group with other spaces');
SELECT orgusers.set_group_spaces(:'acme', 'pack', '{two}');
SELECT lives_ok(format($$SELECT orgusers.set_user_groups(%L, %L, '{pack}')$$, :'acme', person('cyd')), 'C1: a group may carry the same space');
SELECT throws_ok(format($$SELECT orgusers.set_group_spaces(%L, 'pack', '{one}')$$, :'acme'), 'OU306', NULL, 'C1: and no other one afterwards');
SELECT orgusers.set_user_groups(:'acme', person('cyd'), NULL), orgusers.set_user_groups(:'acme', person('bob'), '{pack}');
SELECT throws_ok(format($$SELECT orgusers.set_group_roles(%L, 'pack', '{GUEST}')$$, :'acme'), 'OU306', NULL, 'C1: a group whose user has two spaces does not carry the role of a guest');
SELECT orgusers.set_user_spaces(:'acme', person('bob'), '{two}');
SELECT lives_ok(format($$SELECT orgusers.set_group_roles(%L, 'pack', '{GUEST}')$$, :'acme'), 'C1: with the same space, directly and by the group, it does');
SELECT throws_ok(format($$SELECT orgusers.assign_spaces(%L, %L, '{one}')$$, :'acme', person('bob')), 'OU306', NULL, 'C1: who is a guest by a group has no other');
SELECT orgusers.set_group_roles(:'acme', 'pack', NULL), orgusers.set_user_groups(:'acme', person('bob'), NULL), orgusers.set_user_spaces(:'acme', person('bob'), '{one,two}');
SELECT orgusers.set_group_spaces(:'acme', 'pack', '{three,four}');

-- by direct DML: cyd is a guest with the space two, bob LIMITED with one and two, pack has three and four and nobody in it
RESET ROLE;
SELECT throws_ok(s, 'OU306', NULL, 'C1: direct DML: ' || left(s, 60))
    FROM unnest(ARRAY[
        format('INSERT INTO orgusers.space_members (org_id, space_id, user_id) VALUES (%L, %L, %L)', :'acme', space('one'), person('cyd')),
        format('INSERT INTO orgusers.space_members (org_id, space_id, user_id) SELECT org_id, id, %L FROM orgusers.spaces WHERE org_id = %L ON CONFLICT DO NOTHING', person('cyd'), :'acme'),
        format('MERGE INTO orgusers.space_members m USING orgusers.spaces s ON m.org_id = s.org_id AND m.space_id = s.id AND m.user_id = %L WHEN NOT MATCHED AND s.org_id = %L THEN INSERT (org_id, space_id, user_id) VALUES (s.org_id, s.id, %1$L)', person('cyd'), :'acme'),
        format('UPDATE orgusers.space_members SET user_id = %L WHERE user_id = %L AND space_id = %L', person('cyd'), person('bob'), space('one')),
        format('INSERT INTO orgusers.group_members (org_id, group_id, user_id) VALUES (%L, %L, %L)', :'acme', grp('pack'), person('cyd')),
        format('INSERT INTO orgusers.membership_roles (org_id, user_id, role_id) VALUES (%L, %L, %L)', :'acme', person('bob'), role('GUEST')),
        format('UPDATE orgusers.membership_roles SET role_id = %L WHERE user_id = %L', role('GUEST'), person('bob')),
        format('UPDATE orgusers.roles SET template = %L WHERE id = %L', 'guest', role('LIMITED'))
    ]) s;
SELECT throws_ok(format($$WITH g AS (INSERT INTO orgusers.group_members (org_id, group_id, user_id) VALUES (%L, %L, %L)) INSERT INTO orgusers.group_roles (org_id, group_id, role_id) VALUES (%1$L, %2$L, %4$L)$$,
    :'acme', grp('pack'), person('dan'), role('GUEST')), 'OU306', NULL, 'C1: direct DML: two tables in one command');
SELECT throws_ok(format($$SET CONSTRAINTS ALL DEFERRED; INSERT INTO orgusers.space_members (org_id, space_id, user_id) VALUES (%L, %L, %L); SET CONSTRAINTS ALL IMMEDIATE$$,
    :'acme', space('one'), person('cyd')), 'OU306', NULL, 'C1: direct DML: deferred');
SELECT lives_ok(format($$SET CONSTRAINTS ALL DEFERRED; INSERT INTO orgusers.space_members (org_id, space_id, user_id) VALUES (%L, %L, %L); DELETE FROM orgusers.space_members WHERE user_id = %3$L AND space_id = %L; SET CONSTRAINTS ALL IMMEDIATE$$,
    :'acme', space('three'), person('cyd'), space('two')), 'C1: direct DML: deferred, only the end counts');
SET CONSTRAINTS orgusers.holders, orgusers.billing_admin DEFERRED;
SELECT is(spaces_of('cyd'), 'three', 'C1: and is kept');
-- Another policy's organization is not concerned.
SELECT act('eve');
SELECT orgusers.create_organization('Other', 'plans_and_groups') AS other \gset
SELECT orgusers.create_space(:'other', 'one') IS NOT NULL, orgusers.create_space(:'other', 'two') IS NOT NULL;
SELECT lives_ok(format($$INSERT INTO orgusers.space_members (org_id, space_id, user_id) SELECT org_id, id, %L FROM orgusers.spaces WHERE org_id = %L$$, person('eve'), :'other'),
    'C1: a role without a number has no limit');
SELECT is((SELECT count(*)::int FROM orgusers.space_members WHERE org_id = :'other'), 2, 'C1: however many spaces');

-- C8: deactivation keeps the assignments
SET LOCAL ROLE regress_ou_app;
SELECT act('ann');
SELECT orgusers.set_user_spaces(:'acme', person('bob'), '{one,two}'), orgusers.set_group_spaces(:'acme', 'pack', '{two}'), orgusers.set_user_groups(:'acme', person('bob'), '{pack}');
SELECT orgusers.assign_spaces(:'acme', person('dan'), '{one}'), orgusers.set_user_groups(:'acme', person('dan'), '{pack}');
SELECT orgusers.deactivate_user(:'acme', person('bob'));
SELECT results_eq(format($$SELECT email::text, status, directly FROM orgusers.list_space_users(%L, 'one')$$, :'acme'),
    $$VALUES ('bob@example.org', 'deactivated', true), ('dan@example.org', 'active', true)$$, 'C8: a deactivated user stays listed on the space');
SELECT results_eq(format($$SELECT email::text, status, directly FROM orgusers.list_space_users(%L, 'two')$$, :'acme'),
    $$VALUES ('bob@example.org', 'deactivated', true), ('dan@example.org', 'active', false)$$, 'C8: on every one, also by a group');
SELECT results_eq(format($$SELECT email::text FROM orgusers.list_space_users(%L, 'one', 'bob@example.org', 1)$$, :'acme'), ARRAY['dan@example.org'], 'C8: by pages');
SELECT is(seen('bob'), '', 'C6: without access');
SELECT act('ann');
SELECT orgusers.reactivate_user(:'acme', person('bob'));
SELECT is(seen('bob'), 'one two', 'C7: reactivated, with the spaces as before');
SELECT act('ann');
SELECT orgusers.deactivate_user(:'acme', person('bob'));
SELECT act('dan');
SELECT lives_ok(format($$SELECT orgusers.unassign_spaces(%L, %L, '{one}')$$, :'acme', person('bob')), 'C8: an active user takes the space from the deactivated one');
SELECT results_eq(format($$SELECT email::text FROM orgusers.list_space_users(%L, 'one')$$, :'acme'), ARRAY['dan@example.org'], 'C8: who is then no longer listed');
SELECT is(spaces_of('bob'), 'two', 'C8: there, and still on the others');
SELECT act('ann');
SELECT orgusers.remove_user(:'acme', person('bob'));
SELECT is(spaces_of('bob'), '', 'B9: who is removed has no space left');
SELECT results_eq(format($$SELECT email::text FROM orgusers.list_space_users(%L, 'two')$$, :'acme'), ARRAY['dan@example.org'], 'B9: and is listed on none');
SELECT enlist('Acme', 'bob', 'LIMITED');
SELECT is(seen('bob'), '', 'B9: nor does any come back with the user');

-- What is listed
SELECT act('ann');
SELECT orgusers.assign_spaces(:'acme', person('bob'), '{one}');
SELECT orgusers.invite_user(:'acme', 'fay@example.org', '{LIMITED}', spaces => '{one,two}') IS NOT NULL AS invited \gset
SELECT results_eq(format('SELECT name, users, groups, invitations FROM orgusers.list_spaces(%L)', :'acme'),
    $$VALUES ('five', 0::bigint, 0::bigint, 0::bigint), ('four', 0, 0, 0), ('one', 2, 0, 1), ('three', 1, 0, 0), ('two', 1, 1, 1)$$, 'B5: list_spaces has all for a role for all spaces, with counts');
SELECT results_eq(format($$SELECT name FROM orgusers.list_spaces(%L, 'O', 'four', 1)$$, :'acme'), ARRAY['one'], 'B5: searched, and by pages');
SELECT act('bob');
SELECT results_eq(format('SELECT name, users FROM orgusers.list_spaces(%L)', :'acme'), $$VALUES ('one', 2::bigint)$$, 'B5: the assigned ones for a role for these');
SELECT results_eq(format($$SELECT email::text FROM orgusers.list_space_users(%L, 'one')$$, :'acme'), ARRAY['bob@example.org', 'dan@example.org'], 'B5: with who else is assigned');
SELECT throws_ok(format($$SELECT orgusers.list_space_users(%L, %L)$$, :'acme', name), 'OU111', 'no such space among those that you see', 'B5: one that is not seen is as one that is not there: ' || name)
    FROM unnest(ARRAY['two', 'none']) name;
SELECT act('gus');
SELECT is_empty(format('SELECT * FROM orgusers.list_spaces(%L)', :'acme'), 'B5: none for who may not see them');
SELECT throws_ok(format($$SELECT orgusers.list_space_users(%L, 'one')$$, :'acme'), 'OU111', NULL, 'B5: nor who is there');
SELECT act('eve');
SELECT throws_ok(format('SELECT orgusers.%s', call), 'OU101', NULL, 'B5: an outsider does not learn of the organization: ' || regexp_replace(call, '\(.*', ''))
    FROM unnest(ARRAY[format('list_spaces(%L)', :'acme'), format($$list_space_users(%L, 'one')$$, :'acme'), format($$list_space_users(%L, 'none')$$, :'acme'),
                      format($$assign_spaces(%L, %L, '{one}')$$, :'acme', person('eve')), format($$set_invitation_spaces(%L, %L, '{one}')$$, :'acme', inv('Acme', 'fay')),
                      format('invitations_left(%L)', :'acme')]) call;
SELECT act(NULL);
SELECT throws_ok(format('SELECT orgusers.list_spaces(%L)', :'acme'), 'OU001', NULL, 'B5: nobody sees nothing');

-- B7: assigned before the invitation is accepted
SELECT act('ann');
SELECT is((SELECT spaces FROM orgusers.list_invitations(:'acme') WHERE email = 'fay@example.org'), '{one,two}', 'B7: the list of invitations shows the spaces');
SELECT mail_token('Acme', 'fay') AS token \gset
SELECT is((SELECT spaces FROM orgusers.preview_invitation(:'token')), '{one,two}', 'B7: so does the preview');
SELECT act('gus');
SELECT is((SELECT spaces FROM orgusers.list_invitations(:'acme') WHERE email = 'fay@example.org'), '{}', 'B7: not for who may not see spaces');
SELECT act('dan');
SELECT lives_ok(format($$SELECT orgusers.set_invitation_spaces(%L, %L, '{one,two,three,four,five}')$$, :'acme', inv('Acme', 'fay')), 'B7: another user who may assigns further ones to the invitation');
SELECT orgusers.set_invitation_spaces(:'acme', inv('Acme', 'fay'), NULL);
SELECT is(spaces_for('fay'), '', 'B7: or none, for the time being');
SELECT throws_ok(format($$SELECT orgusers.set_invitation_spaces(%L, %L, '{one,two,three,four}')$$, :'acme', inv('Acme', 'fay')), 'OU118', NULL, 'B7: at most so many in a call');
SELECT throws_ok(format($$SELECT orgusers.set_invitation_spaces(%L, %L, '{none}')$$, :'acme', inv('Acme', 'fay')), 'OU111', NULL, 'B7: that there are');
SELECT orgusers.set_invitation_spaces(:'acme', inv('Acme', 'fay'), '{one,four,five}');
SELECT act('ann');
SELECT throws_ok(format($$SELECT orgusers.invite_user(%L, 'una@example.org', spaces => '{one,two,three,four}')$$, :'acme'), 'OU118', NULL, 'B7: so with the invitation itself');
SELECT throws_ok(format($$SELECT orgusers.invite_user(%L, 'una@example.org', spaces => '{none}')$$, :'acme'), 'OU111', NULL, 'B7: of spaces that there are');
SELECT lives_ok(format($$SELECT orgusers.invite_user(%L, 'una@example.org')$$, :'acme'), 'B7: it can be skipped');
SELECT is(spaces_for('una'), '', 'B7: and then there are none');
SELECT orgusers.delete_space(:'acme', 'four');
SELECT is(spaces_for('fay'), 'five one', 'B7: a deleted space falls off');
SELECT act('fay');
SELECT is_empty('SELECT * FROM orgusers.spaces', 'B7: before acceptance there is no access');
SELECT orgusers.accept_my_invitation(:'acme', inv('Acme', 'fay')) = :'acme' AS accepted \gset
SELECT is(spaces_of('fay'), 'five one', 'B7: accepting assigns them');
SELECT is(seen('fay'), 'five one', 'B7: and they are seen');
SELECT act('ann');
SELECT throws_ok(format($$SELECT orgusers.set_invitation_spaces(%L, %L, '{one}')$$, :'acme', inv('Acme', 'fay')), 'OU205', NULL, 'B7: afterwards the invitation is closed');

-- The authority to assign spaces
SELECT orgusers.remove_user(:'acme', person('fay'));
SELECT act('gus');
SELECT throws_ok(format($$SELECT orgusers.invite_user(%L, 'fay@example.org', spaces => '{one}')$$, :'acme'), 'OU002', NULL, 'B7: who may invite only, assigns no spaces');
SELECT orgusers.invite_user(:'acme', 'fay@example.org') IS NOT NULL AS invited \gset
SELECT throws_ok(format($$SELECT orgusers.set_invitation_spaces(%L, %L, '{one}')$$, :'acme', inv('Acme', 'fay')), 'OU002', NULL, 'B7: not afterwards either');
SELECT act('ann');
SELECT throws_ok(format($$SELECT orgusers.set_invitation_spaces(%L, %L, '{one}')$$, :'acme', inv('Acme', 'fay')), 'OU210', NULL, 'B7: an invitation by somebody who may not gets none');
SELECT orgusers.resend_invitation(:'acme', inv('Acme', 'fay'));
SELECT lives_ok(format($$SELECT orgusers.set_invitation_spaces(%L, %L, '{one}')$$, :'acme', inv('Acme', 'fay')), 'B7: one that is sent again by somebody who may, does');
SELECT act('gus');
SELECT throws_ok(format($$SELECT orgusers.resend_invitation(%L, %L)$$, :'acme', inv('Acme', 'fay')), 'OU108', NULL, 'B7: and is not sent again by who may not');
SELECT as_owner($$DELETE FROM orgusers.role_template_permissions WHERE policy = 'limits' AND template = 'admin' AND permission = 'spaces.assign'$$);
SELECT act('fay');
SELECT throws_ok(format('SELECT orgusers.accept_my_invitation(%L, %L)', :'acme', inv('Acme', 'fay')), 'OU210', NULL, 'B7: the inviter must still be one who may when it is accepted');
SELECT as_owner($$INSERT INTO orgusers.role_template_permissions VALUES ('limits', 'admin', 'spaces.assign')$$);

-- C1: invited as a guest
SELECT act('ann');
SELECT throws_ok(format($$SELECT orgusers.invite_user(%L, 'new@example.org', '{GUEST}', spaces => '{one,two}')$$, :'acme'), 'OU306', NULL, 'C1: a guest is not invited to two spaces');
SELECT throws_ok(format($$SELECT orgusers.invite_user(%L, 'new@example.org', '{GUEST}', '{pack}', spaces => '{one}')$$, :'acme'), 'OU306', NULL, 'C1: nor to one, and by a group to another');
SELECT orgusers.set_group_spaces(:'acme', 'pack', '{one,two}');
SELECT throws_ok(format($$SELECT orgusers.invite_user(%L, 'new@example.org', '{GUEST}', '{pack}')$$, :'acme'), 'OU306', NULL, 'C1: nor to two by a group');
SELECT orgusers.cancel_invitation(:'acme', inv('Acme', 'fay'));
SELECT lives_ok(format($$SELECT orgusers.invite_user(%L, 'fay@example.org', '{GUEST}', spaces => '{one}')$$, :'acme'), 'C1: a guest is invited to one');
SELECT throws_ok(format($$SELECT orgusers.set_invitation_spaces(%L, %L, '{one,two}')$$, :'acme', inv('Acme', 'fay')), 'OU306', NULL, 'C1: and a second one is refused');
SELECT as_owner(format('INSERT INTO orgusers.invitation_spaces (org_id, invitation_id, space_id) VALUES (%L, %L, %L)', :'acme', inv('Acme', 'fay'), space('two')));
SELECT act('fay');
SELECT throws_ok(format('SELECT orgusers.accept_my_invitation(%L, %L)', :'acme', inv('Acme', 'fay')), 'OU306', NULL, 'C1: the invariant holds at acceptance, too');
SELECT is(spaces_of('fay'), '', 'C1: which then has done nothing');
SELECT act('ann');
SELECT orgusers.set_invitation_spaces(:'acme', inv('Acme', 'fay'), '{two}');
SELECT act('fay');
SELECT lives_ok(format('SELECT orgusers.accept_my_invitation(%L, %L)', :'acme', inv('Acme', 'fay')), 'C1: with one space it is accepted');
SELECT is(seen('fay'), 'two', 'C1: and that one is seen');

-- E3: invitations a day
SELECT act('ann');
SELECT is(orgusers.invitations_left(:'acme'), NULL, 'E3: without a limit there is no number');
SELECT as_owner($$UPDATE orgusers.policies SET daily_invitations = 3 WHERE id = 'limits'$$);
SELECT is(orgusers.invitations_left(:'acme'), 3, 'E3: the limit is for the policy''s organizations');
SELECT lives_ok(format($$SELECT orgusers.invite_user(%L, %L, send => %L)$$, :'acme', n || '@day.example', n = 1), 'E3: an invitation counts, sent or not') FROM generate_series(1, 2) n;
SELECT is(orgusers.invitations_left(:'acme'), 1, 'E3: and is counted down');
SELECT lives_ok(format('SELECT orgusers.invitation_link(%L, %L)', :'acme', id), 'E3: a further link does not count') FROM orgusers.invitations WHERE email = '1@day.example';
SELECT is(orgusers.invitations_left(:'acme'), 1, 'E3: as said');
SELECT lives_ok(format('SELECT orgusers.resend_invitation(%L, %L)', :'acme', id), 'E3: sending again counts') FROM orgusers.invitations WHERE email = '1@day.example';
SELECT is(orgusers.invitations_left(:'acme'), 0, 'E3: as the third');
SELECT throws_ok(format($$SELECT orgusers.invite_user(%L, '4@day.example')$$, :'acme'), 'OU212', NULL, 'E3: a fourth is refused');
SELECT throws_ok(format('SELECT orgusers.resend_invitation(%L, %L)', :'acme', id), 'OU212', NULL, 'E3: so is sending again') FROM orgusers.invitations WHERE email = '2@day.example';
SELECT is((SELECT count(*)::int FROM orgusers.invitations WHERE email = '4@day.example'), 0, 'E3: what is refused is not there');
CREATE FUNCTION pg_temp.hint(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE h text; d text; BEGIN EXECUTE statement; RETURN NULL; EXCEPTION WHEN OTHERS THEN GET STACKED DIAGNOSTICS h = PG_EXCEPTION_HINT, d = PG_EXCEPTION_DETAIL; RETURN concat_ws(' ', d, h); END $$;
SELECT is(pg_temp.hint(format($$SELECT orgusers.invite_user(%L, '4@day.example')$$, :'acme')),
    format('Left today: 0. The next day begins on %s at 00:00, UTC.', to_char((now() AT TIME ZONE 'UTC')::date + 1, 'YYYY-MM-DD')), 'E3: the error says when the next day begins');
SELECT matches(pg_temp.hint(format($$SELECT orgusers.assign_spaces(%L, %L, '{one,two,three,five}')$$, :'acme', person('gus'))), 'Assign 3 at most', 'B7: the error says how many spaces a call assigns');
SELECT act('gus');
SELECT is(orgusers.invitations_left(:'acme'), 3, 'E3: every admin has as many');
SELECT lives_ok(format($$SELECT orgusers.invite_user(%L, '5@day.example')$$, :'acme'), 'E3: and sends them');
SELECT is(orgusers.invitations_left(:'acme'), 2, 'E3: counted for each');
SELECT act('bob');
SELECT throws_ok(format('SELECT orgusers.invitations_left(%L)', :'acme'), 'OU002', NULL, 'E3: who may not invite is not told');
-- Several at once are taken whole, or not at all.
RESET ROLE;
SELECT act('gus');
SELECT throws_ok(format('SELECT orgusers.take_quota(%L, %s)', :'acme', n), 'OU212', NULL, 'E3: more than are left at once: ' || n) FROM unnest(ARRAY[3, 4, 2147483647]) n;
SELECT is(orgusers.invitations_left(:'acme'), 2, 'E3: nothing was taken');
SELECT lives_ok(format('SELECT orgusers.take_quota(%L, 0)', :'acme'), 'E3: none is none');
SAVEPOINT before;
SELECT lives_ok(format('SELECT orgusers.take_quota(%L, 2)', :'acme'), 'E3: just as many');
SELECT is(orgusers.invitations_left(:'acme'), 0, 'E3: are all');
ROLLBACK TO before;
SELECT is(orgusers.invitations_left(:'acme'), 2, 'E3: what is rolled back is given back');
-- Another organization of the same user has its own.
INSERT INTO orgusers.organizations (name, policy) VALUES ('Third', 'limits');
INSERT INTO orgusers.roles (org_id, policy, template, name) SELECT org('Third'), policy, id, name FROM orgusers.role_templates WHERE policy = 'limits';
SELECT enlist('Third', 'ann', 'ADMIN');
SELECT act('ann');
SELECT is(orgusers.invitations_left(org('Third')), 3, 'E3: every organization has its own');
-- The day is the organization's: at any moment it is another one, at UTC+14, than at UTC-12, and two days later for two hours.
UPDATE orgusers.organizations SET time_zone = 'Etc/GMT-14' WHERE id = :'acme';
SELECT isnt(orgusers.today(:'acme'), (now() AT TIME ZONE 'Etc/GMT+12')::date, 'E3: the day is another one in the east of the date line');
DELETE FROM orgusers.invitation_quota WHERE org_id = :'acme';
SELECT orgusers.take_quota(:'acme', 3);
SELECT is(orgusers.invitations_left(:'acme'), 0, 'E3: a day used up in one zone');
SELECT matches(pg_temp.hint(format('SELECT orgusers.take_quota(%L, 1)', :'acme')), 'Etc/GMT-14', 'E3: whose midnight the error names');
UPDATE orgusers.organizations SET time_zone = 'Etc/GMT+12' WHERE id = :'acme';
SELECT is(orgusers.invitations_left(:'acme'), 3, 'E3: is another one''s of a zone where it is another day');
SELECT orgusers.take_quota(:'acme', 3);
UPDATE orgusers.organizations SET time_zone = 'Etc/GMT-14' WHERE id = :'acme';
SELECT is(orgusers.invitations_left(:'acme'), 0, 'E3: going back gives nothing twice');
UPDATE orgusers.organizations SET time_zone = 'Etc/GMT+12' WHERE id = :'acme';
SELECT is(orgusers.invitations_left(:'acme'), 0, 'E3: nor going there again');
-- Midnight has passed: what was used belongs to yesterday, and goes when it cannot be today again.
UPDATE orgusers.invitation_quota SET day = day - 4 WHERE org_id = :'acme';
SELECT is(orgusers.invitations_left(:'acme'), 3, 'E3: the next day has as many again');
SELECT orgusers.take_quota(:'acme', 1);
SELECT results_eq(format('SELECT day, used FROM orgusers.invitation_quota WHERE org_id = %L', :'acme'), format($$VALUES (%L::date, 1)$$, orgusers.today(:'acme')), 'E3: old days are cleared away');
UPDATE orgusers.policies SET daily_invitations = 1 WHERE id = 'limits';
UPDATE orgusers.invitation_quota SET used = 3 WHERE org_id = :'acme';
SELECT is(orgusers.invitations_left(:'acme'), 0, 'E3: a limit that was lowered below what is used leaves none');

SELECT * FROM finish();
ROLLBACK;
