-- The decision where roles have permissions of their own, and where they reach into sub-accounts; and that the loader of
-- the cache and the view rights say the same of everybody.
BEGIN;
\ir setup.psql
SELECT no_plan();
SET LOCAL jit = off;

-- CHIEF reaches below, with some permissions everywhere; REGIONAL reaches below with what is about spaces in assigned ones only;
-- AGENT and KEEPER can be edited, which those that reach below never can.
SELECT orgusers.register_permission('docs.read', 'Read documents', 'space'), orgusers.register_permission('docs.write', 'Change documents', 'space'),
       orgusers.register_permission('docs.list', 'List documents');
INSERT INTO orgusers.role_templates (policy, id, name, all_spaces, reaches_below, editable) VALUES
    ('plans_and_groups', 'chief',    'CHIEF',    true,  true,  false),
    ('plans_and_groups', 'regional', 'REGIONAL', false, true,  false),
    ('plans_and_groups', 'agent',    'AGENT',    true,  false, true),
    ('plans_and_groups', 'keeper',   'KEEPER',   false, false, true);
INSERT INTO orgusers.role_template_permissions VALUES
    ('plans_and_groups', 'chief', 'docs.read'), ('plans_and_groups', 'chief', 'users.invite'), ('plans_and_groups', 'chief', 'roles.assign'), ('plans_and_groups', 'chief', 'users.view'),
    ('plans_and_groups', 'regional', 'docs.read'), ('plans_and_groups', 'regional', 'docs.write'), ('plans_and_groups', 'regional', 'docs.list'),
    ('plans_and_groups', 'agent', 'docs.list'), ('plans_and_groups', 'keeper', 'docs.read');
INSERT INTO orgusers.role_template_grants
    SELECT 'plans_and_groups', t, g FROM unnest(ARRAY['admin', 'chief']) t, unnest(ARRAY['agent', 'keeper', 'user']) g ON CONFLICT DO NOTHING;

CREATE FUNCTION make(called text, parent text) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    made uuid;
BEGIN
    INSERT INTO orgusers.organizations (parent_id, name, policy) VALUES (org(parent), called, 'plans_and_groups') RETURNING id INTO made;
    INSERT INTO orgusers.roles (org_id, policy, template, name) SELECT made, t.policy, t.id, t.name FROM orgusers.role_templates t;
    INSERT INTO orgusers.subscriptions (org_id, plan, paid) VALUES (made, 'free', false) ON CONFLICT DO NOTHING;
    RETURN made;
END $$;
CREATE FUNCTION may(called text, permission text) RETURNS boolean LANGUAGE sql AS $$ SELECT orgusers.can(org(called), permission) $$;
CREATE FUNCTION why(who text, called text, permission text, space_id uuid DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM orgusers.sign_out();
    RETURN (SELECT string_agg(concat_ws(', ', e.allowed, e.reason, e.role, e."group"), '; ' ORDER BY e.role, e."group", e.reason)
            FROM orgusers.explain_access(person(who), org(called), permission, space_id) e);
END $$;
CREATE FUNCTION role_id(called text, role text) RETURNS uuid LANGUAGE sql AS $$ SELECT id FROM orgusers.roles WHERE org_id = org(called) AND name = role $$;

-- Everybody's rights, as the cache has them and as the views say.
CREATE FUNCTION by_cache() RETURNS TABLE (user_id uuid, org_id uuid, permission text, everywhere boolean, spaces text) LANGUAGE plpgsql AS $$
DECLARE
    actor uuid;
BEGIN
    FOR actor IN SELECT u.id FROM orgusers.users u LOOP
        PERFORM orgusers.act_as(actor);
        RETURN QUERY SELECT actor, o.id, k.key, orgusers.can(o.id, k.key),
                            (SELECT string_agg(s.name, ' ' ORDER BY s.name) FROM orgusers.spaces s WHERE s.org_id = o.id AND orgusers.can(o.id, s.id, k.key))
                     FROM orgusers.organizations o, orgusers.permissions k;
    END LOOP;
    PERFORM orgusers.sign_out();
END $$;
CREATE VIEW by_views AS
    SELECT u.id AS user_id, o.id AS org_id, k.key AS permission, coalesce(r.everywhere, false) AS everywhere,
           CASE WHEN r.permission IS NOT NULL THEN
               (SELECT string_agg(s.name, ' ' ORDER BY s.name) FROM orgusers.spaces s
                WHERE s.org_id = o.id AND (r.everywhere OR EXISTS (SELECT FROM orgusers.assigned_spaces a WHERE a.org_id = o.id AND a.user_id = u.id AND a.space_id = s.id)))
           END AS spaces
    FROM orgusers.users u CROSS JOIN orgusers.organizations o CROSS JOIN orgusers.permissions k
    LEFT JOIN (SELECT user_id, org_id, permission, bool_or(everywhere) AS everywhere FROM orgusers.rights GROUP BY 1, 2, 3) r
         ON (r.user_id, r.org_id, r.permission) = (u.id, o.id, k.key);
CREATE FUNCTION agree(moment text) RETURNS text LANGUAGE sql AS $$ SELECT set_eq('SELECT * FROM by_cache()', 'TABLE by_views', 'cache and views agree: ' || moment) $$;

SELECT act('ann');
SELECT orgusers.create_organization('Root', 'plans_and_groups') IS NOT NULL AS made \gset
SELECT orgusers.create_organization('Elsewhere', 'plans_and_groups') IS NOT NULL AS made \gset
UPDATE orgusers.subscriptions SET plan = 'free', paid = false;
UPDATE orgusers.plans SET seats = NULL;
UPDATE orgusers.role_templates SET least_holders = 0;
SELECT make('Mid', 'Root') IS NOT NULL AND make('Leaf', 'Mid') IS NOT NULL AND make('Side', 'Root') IS NOT NULL AS made \gset
INSERT INTO orgusers.spaces (org_id, name) SELECT id, n FROM orgusers.organizations, unnest(ARRAY['one', 'two']) n;
SELECT enlist('Root', 'bob', 'CHIEF'), enlist('Root', 'cyd', 'REGIONAL'), enlist('Mid', 'dan', 'CHIEF'), enlist('Root', 'eve', 'USER');
SELECT agree('a tree');

-- What a role permits in an account it permits below.
SELECT act('bob');
SELECT ok(may('Root', 'docs.read') AND may('Mid', 'docs.read') AND may('Leaf', 'docs.read') AND may('Side', 'docs.read'), 'a role that reaches below permits the same in all sub-accounts');
SELECT ok(NOT may('Elsewhere', 'docs.read') AND NOT may('Leaf', 'docs.list'), 'not elsewhere, nor anything else');
SELECT set_eq($$SELECT unnest(orgusers.orgs_with('docs.read'))$$, $$SELECT id FROM orgusers.organizations WHERE name <> 'Elsewhere'$$, 'orgs_with lists them');
SELECT ok(orgusers.orgs_with('docs.read') = (SELECT array_agg(o ORDER BY o) FROM unnest(orgusers.orgs_with('docs.read')) o), 'in order of their ids');
SELECT is(cardinality(orgusers.spaces_with('docs.read')), 8, 'spaces_with the spaces there');
SELECT ok(NOT orgusers.is_member(org('Leaf')) AND NOT orgusers.has_role(org('Leaf'), 'CHIEF'), 'but one is no user of them, and holds no role there');
SELECT ok(orgusers.reaches(org('Leaf')) AND orgusers.reaches(org('Root')) AND NOT orgusers.reaches(org('Elsewhere')), 'one reaches them');
SELECT throws_ok(format($$SELECT orgusers.require(%L, 'organization.delete')$$, org('Leaf')), 'OU002', NULL, 'who reaches an organization is told which permission is missing there');
SELECT throws_ok(format($$SELECT orgusers.require(%L, 'organization.delete')$$, org('Elsewhere')), 'OU101', NULL, 'and elsewhere nothing');
SELECT act('cyd');
SELECT ok(may('Leaf', 'docs.list') AND NOT may('Leaf', 'docs.read') AND orgusers.orgs_reached('docs.read') = '{}', 'where a role permits in assigned spaces only, it permits so nowhere below');
SELECT orgusers.sign_out();
INSERT INTO orgusers.space_members SELECT org_id, id, person('cyd') FROM orgusers.spaces WHERE org_id = org('Root') AND name = 'one';
SELECT act('cyd');
SELECT set_eq($$SELECT s.org_id = org('Root') FROM orgusers.spaces s WHERE orgusers.can(s.org_id, s.id, 'docs.read')$$, 'VALUES (true)', 'but in the account itself');
SELECT act('dan');
SELECT ok(may('Mid', 'docs.read') AND may('Leaf', 'docs.read') AND NOT may('Root', 'docs.read') AND NOT may('Side', 'docs.read'), 'a role held in the middle reaches down, neither up nor beside');
SELECT throws_ok(format($$SELECT orgusers.require(%L, 'docs.read')$$, org('Root')), 'OU101', NULL, 'and not to know of the account above');
SELECT act('eve');
SELECT ok(may('Root', 'organization.view') AND NOT may('Mid', 'organization.view'), 'other roles do not reach below');
SELECT throws_ok(format($$SELECT orgusers.require(%L, 'organization.view')$$, org('Mid')), 'OU101', NULL, 'nor do their holders');

-- What comes and goes below, above, and in the middle.
SELECT act('bob');
SELECT make('New', 'Leaf') IS NOT NULL AS made \gset
SELECT ok(may('New', 'docs.read'), 'a new sub-account is reached at once');
DELETE FROM orgusers.organizations WHERE name = 'New';
SELECT is(cardinality(orgusers.orgs_with('docs.read')), 4, 'and gone when it is deleted');
INSERT INTO orgusers.base_permissions VALUES ('plans_and_groups', 'docs.list');
INSERT INTO orgusers.membership_permissions VALUES (org('Root'), person('bob'), 'docs.write');
SELECT ok(may('Root', 'docs.list') AND may('Root', 'docs.write') AND NOT may('Mid', 'docs.list') AND NOT may('Mid', 'docs.write'), 'base permissions and single ones do not reach below');
SELECT agree('base and single permissions');
DELETE FROM orgusers.base_permissions;
UPDATE orgusers.memberships SET status = 'deactivated', deactivated_at = now() WHERE (org_id, user_id) = (org('Root'), person('bob'));
SELECT act('bob');
SELECT ok(NOT may('Leaf', 'docs.read') AND NOT orgusers.reaches(org('Leaf')), 'who is deactivated in the account reaches nothing');
SELECT agree('deactivated above');
UPDATE orgusers.memberships SET status = 'active', deactivated_at = NULL WHERE user_id = person('bob');
INSERT INTO orgusers.memberships (org_id, user_id, status, deactivated_at) VALUES (org('Leaf'), person('bob'), 'deactivated', now());
SELECT act('bob');
SELECT ok(may('Leaf', 'docs.read') AND NOT orgusers.is_member(org('Leaf')), 'who is deactivated in the sub-account still reaches it');
UPDATE orgusers.memberships SET status = 'active', deactivated_at = NULL WHERE user_id = person('bob');
INSERT INTO orgusers.membership_roles VALUES (org('Leaf'), person('bob'), role_id('Leaf', 'KEEPER'));
INSERT INTO orgusers.space_members SELECT org_id, id, person('cyd') FROM orgusers.spaces WHERE org_id = org('Root') AND name = 'two';
SELECT act('bob');
SELECT ok(may('Leaf', 'docs.read') AND orgusers.is_member(org('Leaf')) AND orgusers.has_role(org('Leaf'), 'KEEPER'), 'both at once');
SELECT agree('a user of both');
-- in the groups of the account
INSERT INTO orgusers.groups (org_id, name) VALUES (org('Root'), 'chiefs');
INSERT INTO orgusers.group_roles SELECT org_id, id, role_id('Root', 'CHIEF') FROM orgusers.groups WHERE name = 'chiefs';
INSERT INTO orgusers.group_members SELECT org_id, id, person('eve') FROM orgusers.groups WHERE name = 'chiefs';
SELECT act('eve');
SELECT ok(may('Leaf', 'docs.read'), 'a role held by a group reaches below, too');
SELECT agree('a group above');

-- A role with permissions of its own.
SELECT enlist('Root', 'fay', 'AGENT'), enlist('Mid', 'gus', 'KEEPER');
INSERT INTO orgusers.role_permissions VALUES (org('Root'), role_id('Root', 'AGENT'), 'docs.write'), (org('Mid'), role_id('Mid', 'KEEPER'), 'docs.write'), (org('Mid'), role_id('Mid', 'KEEPER'), 'users.view');
SELECT act('fay');
SELECT ok(may('Root', 'docs.list') AND NOT may('Root', 'docs.write'), 'rows of a role that is not edited count for nothing');
UPDATE orgusers.roles SET edited = true WHERE template IN ('agent', 'keeper') AND org_id IN (org('Root'), org('Mid'));
SELECT act('fay');
SELECT ok(may('Root', 'docs.write') AND NOT may('Root', 'docs.list'), 'an edited role permits just what its rows say');
SELECT act('gus');
INSERT INTO orgusers.space_members SELECT org_id, id, person('gus') FROM orgusers.spaces WHERE org_id = org('Mid') AND name = 'two';
SELECT set_eq($$SELECT s.name FROM orgusers.spaces s WHERE orgusers.can(s.org_id, s.id, 'docs.write')$$, $$VALUES ('two')$$, 'in assigned spaces what is about spaces, where the template is for these');
SELECT ok(may('Mid', 'users.view') AND NOT may('Mid', 'docs.write'), 'and everywhere the rest');
SELECT agree('edited roles');
DELETE FROM orgusers.role_permissions WHERE role_id = role_id('Mid', 'KEEPER') AND permission = 'users.view';
SELECT act('gus');
SELECT ok(NOT may('Mid', 'users.view') AND orgusers.is_member(org('Mid')), 'a permission taken from it is gone');
SELECT throws_ok($$UPDATE orgusers.roles SET edited = true WHERE template = 'regional'$$, '23503', NULL, 'a role that reaches below is not edited: it would give below what its editor has not there');

-- Who may give roles: nobody more than they have.
CREATE FUNCTION grants(who text, called text, role text) RETURNS boolean LANGUAGE sql AS $$ SELECT orgusers.may_grant(person(who), org(called), role_id(called, role)) $$;
SELECT ok(grants('bob', 'Root', 'USER') AND grants('bob', 'Leaf', 'USER'), 'a role that reaches below gives roles there as in the account');
SELECT ok(NOT grants('bob', 'Leaf', 'ADMIN') AND NOT grants('bob', 'Elsewhere', 'USER'), 'those it may give, and not elsewhere');
SELECT ok(grants('dan', 'Leaf', 'USER') AND NOT grants('dan', 'Root', 'USER'), 'nor above');
SELECT ok(grants('bob', 'Root', 'AGENT'), 'a role that can be edited, by who has what it permits');
SELECT ok(NOT grants('dan', 'Mid', 'KEEPER') AND NOT grants('bob', 'Mid', 'KEEPER'), 'and by nobody who has not all of it everywhere: docs.write is missing');
INSERT INTO orgusers.membership_permissions VALUES (org('Mid'), person('dan'), 'docs.write');
SELECT ok(grants('dan', 'Mid', 'KEEPER'), 'who has it by itself may');
SELECT ok(NOT grants('dan', 'Leaf', 'AGENT'), 'what the template permits counts for a role that is not edited: docs.list is missing');
SELECT ok(NOT grants('fay', 'Root', 'AGENT'), 'the grant of a template is needed besides');
SELECT ok(grants('bob', 'Leaf', 'KEEPER'), 'in a sub-account, with what reaches down');
SELECT enlist('Side', 'una', 'USER');
SELECT act('bob');
SET LOCAL ROLE regress_ou_app;
SELECT lives_ok(format($$SELECT orgusers.set_user_roles(%L, %L, '{KEEPER}')$$, org('Side'), person('una')), 'flows work for who reaches');
SELECT is(roles_of('Side', 'una'), 'KEEPER', 'as for the organization''s own');
SELECT throws_ok(format($$SELECT orgusers.set_user_roles(%L, %L, '{ADMIN}')$$, org('Side'), person('una')), 'OU108', NULL, 'and refuse what is refused in the account');
SELECT lives_ok(format($$SELECT orgusers.invite_user(%L, 'new@example.org', send => false)$$, org('Side')), 'invitations, too');
SELECT is((SELECT count(*) FROM orgusers.invitations), 1::bigint, 'and they are seen by who may');
SELECT throws_ok(format($$SELECT orgusers.rename_organization(%L, 'x')$$, org('Side')), 'OU002', NULL, 'who reaches may not do what the role does not permit');
SELECT throws_ok(format($$SELECT orgusers.rename_organization(%L, 'x')$$, org('Elsewhere')), 'OU101', NULL, 'nor learns of others');
RESET ROLE;

-- Why.
SELECT is(why('bob', 'Root', 'docs.read'), 't, holds a role with the permission, CHIEF', 'explained: in the account');
SELECT is(why('bob', 'Mid', 'docs.read'), 't, a role held in an account above has the permission, CHIEF', 'explained: below');
SELECT is(why('eve', 'Mid', 'docs.read'), 't, a role held in an account above has the permission, CHIEF, chiefs', 'explained: below, by a group');
SELECT is(why('bob', 'Mid', 'docs.list'), 'f, a role held in an account above without the permission, CHIEF', 'explained: below, no');
SELECT is(why('cyd', 'Mid', 'docs.read'), 'f, a role held in an account above has the permission in assigned spaces only, REGIONAL', 'explained: below, spaces');
SELECT is(why('fay', 'Root', 'docs.write'), 't, holds a role with the permission, AGENT', 'explained: an edited role');
SELECT is(why('fay', 'Root', 'docs.list'), 'f, holds a role without the permission, AGENT', 'explained: an edited role lacks its template''s permission');
SELECT is(why('gus', 'Mid', 'docs.write', s.id), CASE s.name WHEN 'two' THEN 't, the space is assigned, and a role has the permission in assigned spaces, KEEPER' ELSE 'f, holds a role with the permission in assigned spaces only, KEEPER' END, 'explained: an edited role in space ' || s.name)
    FROM orgusers.spaces s WHERE s.org_id = org('Mid');
SELECT is(why('dan', 'Root', 'docs.read'), 'f, is not a user of the organization', 'explained: from below');
SELECT is(why('bob', 'Elsewhere', 'docs.read'), 'f, is not a user of the organization', 'explained: elsewhere');

-- Trees without foreign keys can have circles; a question ends all the same.
SAVEPOINT circle;
SET LOCAL session_replication_role = replica;
UPDATE orgusers.organizations SET parent_id = org('Leaf') WHERE id = org('Mid');
SET LOCAL session_replication_role = origin;
SELECT act('dan');
SELECT ok(may('Leaf', 'docs.read') AND may('Mid', 'docs.read'), 'a circle does not hang');
SELECT ok(EXISTS (SELECT FROM orgusers.rights WHERE user_id = person('dan') AND org_id = org('Leaf')), 'neither the loader nor the view');
ROLLBACK TO circle;
-- Assigned to a space as a user of the sub-account: what a role permits in assigned spaces of the account, it does not here.
SELECT enlist('Side', 'cyd', 'AGENT');
INSERT INTO orgusers.space_members SELECT org_id, id, person('cyd') FROM orgusers.spaces WHERE org_id = org('Side') AND name = 'one';
SELECT act('cyd');
SELECT ok(NOT orgusers.can(s.org_id, s.id, 'docs.write'), 'a role above permits nothing in spaces that are assigned below') FROM orgusers.spaces s WHERE s.org_id = org('Side') AND s.name = 'one';
SELECT is(why('cyd', 'Side', 'docs.write', s.id), 'f, holds a role without the permission, AGENT; f, a role held in an account above has the permission in assigned spaces only, REGIONAL', 'and so it is explained')
    FROM orgusers.spaces s WHERE s.org_id = org('Side') AND s.name = 'one';
SELECT agree('at last');
-- Who may give roles: other roles do not reach below.
INSERT INTO orgusers.membership_roles VALUES (org('Mid'), person('gus'), role_id('Mid', 'ADMIN'));
SELECT ok(grants('gus', 'Mid', 'USER') AND NOT grants('gus', 'Leaf', 'USER'), 'a role that does not reach below gives none there');
UPDATE orgusers.memberships SET status = 'deactivated', deactivated_at = now() WHERE user_id IN (person('gus'), person('bob'));
SELECT ok(NOT grants('gus', 'Mid', 'USER') AND NOT grants('bob', 'Side', 'USER'), 'nor does who is deactivated');

SELECT * FROM finish();
ROLLBACK;
