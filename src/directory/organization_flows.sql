-- Founding, naming, choosing and deleting organizations.

CREATE FUNCTION orgusers.checked_name(what text, name text) RETURNS text
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF orgusers.is_name(checked_name.name) IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = 'OU106', MESSAGE = format('%s is not usable', what),
            HINT = 'A name has 1 to 200 characters, no control characters, and no blank at either end.';
    END IF;
    RETURN checked_name.name;
END $$;
COMMENT ON FUNCTION orgusers.checked_name(text, text) IS 'The name, if is_name() accepts it, else OU106. Internal';

CREATE FUNCTION orgusers.authorize_change(org_id uuid, permission text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    locked boolean;
BEGIN
    -- Asked twice: an outsider must not get as far as the lock, and rights can go while one waits for it.
    IF NOT orgusers.can(authorize_change.org_id, authorize_change.permission) THEN
        PERFORM orgusers.refuse(authorize_change.org_id, authorize_change.permission);
    END IF;
    locked := orgusers.lock_organization(authorize_change.org_id);
    IF locked IS NOT TRUE
       OR NOT orgusers.has_right(orgusers.current_user_id(), authorize_change.org_id, authorize_change.permission) THEN
        PERFORM orgusers.refuse(authorize_change.org_id, authorize_change.permission);
    END IF;
END $$;
COMMENT ON FUNCTION orgusers.authorize_change(uuid, text) IS 'Begins a change that the invariants guard: requires the permission and takes the organization''s lock. Raises what require() raises. Internal';

CREATE FUNCTION orgusers.current_organization_id() RETURNS uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT m.org_id FROM orgusers.memberships m
    LEFT JOIN orgusers.current_organizations c USING (user_id, org_id)
    WHERE m.user_id = orgusers.current_user_id() AND m.status = 'active'
    ORDER BY c.user_id IS NULL, m.joined_at, m.org_id LIMIT 1;
END;
COMMENT ON FUNCTION orgusers.current_organization_id() IS 'Of the organizations in which the actor is an active user, the one chosen last with switch_organization(), else the one joined first; NULL for none';

CREATE FUNCTION orgusers.switch_organization(org_id uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM orgusers.require_user();
    IF orgusers.is_member(switch_organization.org_id) IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = 'OU101', MESSAGE = 'no such organization among yours',
            HINT = 'my_organizations() lists them.';
    END IF;
    INSERT INTO orgusers.current_organizations (user_id, org_id) VALUES (orgusers.current_user_id(), switch_organization.org_id)
        ON CONFLICT ON CONSTRAINT current_organizations_pkey DO UPDATE SET org_id = excluded.org_id;
EXCEPTION WHEN foreign_key_violation THEN
    -- The organization, or the user, has been deleted since it was asked for.
    PERFORM orgusers.require_user();
    PERFORM orgusers.refuse(switch_organization.org_id, NULL);
END $$;
COMMENT ON FUNCTION orgusers.switch_organization(uuid) IS 'Makes one of the actor''s organizations the current one, remembered for later sessions. OU001 nobody is signed in, OU007 the actor was deleted meanwhile, OU101 the actor is not an active user of it';

CREATE FUNCTION orgusers.checked_external_id(external_id text) RETURNS text
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN external_id IS NOT NULL THEN orgusers.checked_name('this external id of an organization', external_id) END;
END $$;
COMMENT ON FUNCTION orgusers.checked_external_id(text) IS 'The external id, NULL for none, if is_name() accepts it, else OU106. Internal';

CREATE FUNCTION orgusers.set_external_id(org_id uuid, external_id text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF orgusers.lock_organization(set_external_id.org_id) IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = 'OU101', MESSAGE = 'no such organization';
    END IF;
    UPDATE orgusers.organizations o SET external_id = orgusers.checked_external_id(set_external_id.external_id)
        WHERE o.id = set_external_id.org_id;
END $$;
COMMENT ON FUNCTION orgusers.set_external_id(uuid, text) IS 'Sets the number or key by which the application''s people know the organization, such as a customer number, which its mails name; NULL takes it away. Two organizations can have the same. For the trusted server. OU101 no such organization, OU106 not 1 to 200 characters, or with control characters or blanks at its ends';

CREATE FUNCTION orgusers.make_organization(parent_id uuid, id uuid, name text, external_id text, policy text, time_zone text) RETURNS orgusers.policies
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rules orgusers.policies;
BEGIN
    IF NOT orgusers.is_zone_name(time_zone) THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'this is not the name of a time zone',
            HINT = 'The view pg_timezone_names lists them.';
    END IF;
    SELECT * INTO rules FROM orgusers.policies p WHERE p.id = make_organization.policy;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'OU105', MESSAGE = 'no such policy',
            HINT = 'The table orgusers.policies lists them; the database''s owner installs them.';
    ELSIF make_organization.id = '00000000-0000-0000-0000-000000000000' THEN
        RAISE EXCEPTION USING ERRCODE = 'OU107', MESSAGE = 'this id of an organization is in use',
            HINT = 'It stands in the audit trail for what all organizations share.';
    END IF;
    INSERT INTO orgusers.organizations (id, parent_id, name, external_id, policy, time_zone)
        VALUES (make_organization.id, make_organization.parent_id, orgusers.checked_name('this name of an organization', make_organization.name),
                orgusers.checked_external_id(make_organization.external_id),
                rules.id, make_organization.time_zone)
        ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'OU107', MESSAGE = 'this id of an organization is in use';
    END IF;
    INSERT INTO orgusers.roles (org_id, policy, template, name, holds_seat)
        SELECT make_organization.id, t.policy, t.id, t.name, t.holds_seat FROM orgusers.role_templates t WHERE t.policy = rules.id;
    RETURN rules;
END $$;
COMMENT ON FUNCTION orgusers.make_organization(uuid, uuid, text, text, text, text) IS 'Makes an organization, or with a parent a sub-account, with the roles of the policy''s templates and nobody in it; returns the policy. OU105 no such policy, OU106 bad name, OU107 id in use, 22023 unknown time zone. Internal';

CREATE FUNCTION orgusers.create_organization(name text, policy text, id uuid DEFAULT NULL, time_zone text DEFAULT 'UTC',
                                             external_id text DEFAULT NULL) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    actor uuid;
    rules orgusers.policies;
    org   uuid := coalesce(create_organization.id, orgusers.new_id());
BEGIN
    -- Whoever deletes the actor is waited for, and else waits.
    PERFORM FROM orgusers.users u WHERE u.id = orgusers.current_user_id() FOR KEY SHARE;
    actor := orgusers.require_user();
    rules := orgusers.make_organization(NULL, org, create_organization.name, create_organization.external_id, create_organization.policy,
                                        coalesce(create_organization.time_zone, 'UTC'));
    PERFORM orgusers.enroll(org, actor, ARRAY(
        SELECT r.id FROM orgusers.roles r JOIN orgusers.role_templates t ON t.policy = r.policy AND t.id = r.template
        WHERE r.org_id = org AND t.founder));
    -- A paid default plan has the founder as billing admin.
    INSERT INTO orgusers.subscriptions (org_id, plan, paid, billing_admin_id)
        SELECT org, p.id, p.paid, CASE WHEN p.paid THEN actor END FROM orgusers.plans p WHERE p.id = rules.default_plan;
    PERFORM orgusers.check_now();
    RETURN org;
END $$;
COMMENT ON FUNCTION orgusers.create_organization(text, text, uuid, text, text) IS 'Makes an organization under a policy, on the policy''s default plan, with the actor as its first user, who gets the founder''s roles; returns its id. For the trusted server: an id can be one that the application still has rows for; external_id is as set_external_id() takes it. OU001 nobody is signed in, OU007 the actor was deleted meanwhile, OU105 no such policy, OU106 bad name or external_id, OU107 id in use, OU404 no mail template, 22023 unknown time zone';

CREATE FUNCTION orgusers.create_my_organization(name text, policy text, time_zone text DEFAULT 'UTC') RETURNS uuid
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT orgusers.create_organization(create_my_organization.name, create_my_organization.policy, time_zone => create_my_organization.time_zone);
END;
COMMENT ON FUNCTION orgusers.create_my_organization(text, text, text) IS 'As create_organization(), with a new id; for any signed-in user. OU001 nobody is signed in, OU007 the actor was deleted meanwhile, OU105 no such policy, OU106 bad name, OU404 no mail template, 22023 unknown time zone';

CREATE FUNCTION orgusers.rename_organization(org_id uuid, name text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- The lock, for the order of touched.h: the row is one that others wait for.
    PERFORM orgusers.authorize_change(rename_organization.org_id, 'organization.rename');
    UPDATE orgusers.organizations o SET name = orgusers.checked_name('this name of an organization', rename_organization.name)
        WHERE o.id = rename_organization.org_id;
END $$;
COMMENT ON FUNCTION orgusers.rename_organization(uuid, text) IS 'Changes an organization''s name. Needs organization.rename. OU106 bad name, and what require() raises';

CREATE FUNCTION orgusers.delete_organization(org_id uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM orgusers.require(delete_organization.org_id, 'organization.delete');
    -- The root of the tree comes first (see touched.h), then the strongest lock: who has the row key-shared by a
    -- foreign key may want its epoch next.
    PERFORM orgusers.lock_organization(o.root_id) FROM orgusers.organizations o JOIN orgusers.policies p ON p.id = o.policy
        WHERE o.id = delete_organization.org_id AND o.parent_id IS NOT NULL AND p.unique_in_tree;
    PERFORM FROM orgusers.organizations o WHERE o.id = delete_organization.org_id FOR UPDATE;
    PERFORM orgusers.authorize_change(delete_organization.org_id, 'organization.delete');
    IF EXISTS (SELECT FROM orgusers.organizations o WHERE o.parent_id = delete_organization.org_id) THEN
        RAISE EXCEPTION USING ERRCODE = 'OU114', MESSAGE = 'the organization has sub-accounts',
            HINT = 'Delete those first; list_sub_accounts() lists them.';
    END IF;
    DELETE FROM orgusers.organizations o WHERE o.id = delete_organization.org_id;
    PERFORM orgusers.check_now();
END $$;
COMMENT ON FUNCTION orgusers.delete_organization(uuid) IS 'Deletes an organization with all that belongs to it here; foreign keys of the application''s tables decide about theirs. Needs organization.delete. OU114 it has sub-accounts, and what require() raises';

CREATE FUNCTION orgusers.my_organizations()
    RETURNS TABLE (org_id uuid, name text, policy text, status text, roles text[], is_current boolean, external_id text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH chosen AS MATERIALIZED (SELECT orgusers.current_organization_id() AS org_id)
    SELECT o.id, o.name, o.policy, m.status,
           ARRAY(SELECT DISTINCT r.name FROM orgusers.held_roles h JOIN orgusers.roles r ON r.org_id = h.org_id AND r.id = h.role_id
                 WHERE h.org_id = m.org_id AND h.user_id = m.user_id ORDER BY r.name),
           o.id IS NOT DISTINCT FROM chosen.org_id, o.external_id
    FROM orgusers.memberships m JOIN orgusers.organizations o ON o.id = m.org_id CROSS JOIN chosen
    WHERE m.user_id = orgusers.current_user_id()
    ORDER BY o.name, o.id;
END;
COMMENT ON FUNCTION orgusers.my_organizations() IS 'Organizations of the actor, also those in which the membership is deactivated; none for an anonymous session';
