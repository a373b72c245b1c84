-- Roles that an organization makes and changes by itself, as far as its policy's templates let it (editable).

CREATE FUNCTION orgusers.known_permissions(permissions text[]) RETURNS text[]
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    unknown text;
BEGIN
    SELECT coalesce(p, 'NULL') INTO unknown FROM unnest(permissions) p
        WHERE NOT EXISTS (SELECT FROM orgusers.permissions k WHERE k.key = p) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'OU105', MESSAGE = format('no such permission: %s', quote_ident(left(unknown, 200))),
            HINT = 'The table orgusers.permissions lists them.';
    END IF;
    RETURN ARRAY(SELECT DISTINCT p FROM unnest(permissions) p ORDER BY p);
END $$;
COMMENT ON FUNCTION orgusers.known_permissions(text[]) IS 'These permissions, each once, in order; OU105 when one is not registered. NULL is none. Internal';

CREATE FUNCTION orgusers.require_permissions(org_id uuid, permissions text[]) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    refused text;
BEGIN
    SELECT p INTO refused FROM unnest(permissions) p
        WHERE NOT orgusers.has_right(orgusers.current_user_id(), require_permissions.org_id, p)
        ORDER BY p LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'OU108', MESSAGE = format('you may neither give nor take the permission %s', quote_ident(refused)),
            HINT = 'Ask a user of the organization who has it.';
    END IF;
END $$;
COMMENT ON FUNCTION orgusers.require_permissions(uuid, text[]) IS 'Returns when the actor has all these permissions everywhere in the organization, and so may give and take them, else OU108. Asked behind the organization''s lock. Internal';

CREATE FUNCTION orgusers.permissions_of(org_id uuid, role_id uuid) RETURNS text[]
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT ARRAY(SELECT p.permission FROM orgusers.role_rights p
                 WHERE p.org_id = permissions_of.org_id AND p.role_id = permissions_of.role_id ORDER BY p.permission);
END;
COMMENT ON FUNCTION orgusers.permissions_of(uuid, uuid) IS 'What a role of the organization permits, by itself when it is edited, else by its template. Internal';

CREATE FUNCTION orgusers.set_permissions_of(org_id uuid, role_id uuid, permissions text[]) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    UPDATE orgusers.roles r SET edited = true
        WHERE r.org_id = set_permissions_of.org_id AND r.id = set_permissions_of.role_id AND NOT r.edited;
    DELETE FROM orgusers.role_permissions rp
        WHERE rp.org_id = set_permissions_of.org_id AND rp.role_id = set_permissions_of.role_id AND rp.permission <> ALL (set_permissions_of.permissions);
    INSERT INTO orgusers.role_permissions (org_id, role_id, permission)
        SELECT set_permissions_of.org_id, set_permissions_of.role_id, unnest(set_permissions_of.permissions) ON CONFLICT DO NOTHING;
END;
COMMENT ON FUNCTION orgusers.set_permissions_of(uuid, uuid, text[]) IS 'Lets a role permit exactly this. Internal';

CREATE FUNCTION orgusers.role_to_edit(org_id uuid, role text) RETURNS uuid
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_one uuid := (orgusers.role_ids(org_id, ARRAY[role]))[1];
BEGIN
    IF NOT (SELECT t.editable FROM orgusers.roles r JOIN orgusers.role_templates t ON t.policy = r.policy AND t.id = r.template
            WHERE r.org_id = role_to_edit.org_id AND r.id = found_one) THEN
        RAISE EXCEPTION USING ERRCODE = 'OU112', MESSAGE = format('the role %s is fixed', quote_ident(role)),
            HINT = 'list_roles() says which roles the organization can change.';
    END IF;
    -- Changing a role is giving and taking: what others hold by it, and what they mean when they give it by its name.
    PERFORM orgusers.require_grantable(role_to_edit.org_id, ARRAY[found_one]);
    IF EXISTS (SELECT FROM orgusers.held_roles h
               WHERE h.org_id = role_to_edit.org_id AND h.role_id = found_one AND h.user_id = orgusers.current_user_id()) THEN
        PERFORM orgusers.refuse_self(role_to_edit.org_id, orgusers.current_user_id(),
            (orgusers.policy_of(role_to_edit.org_id)).own_role_change, 'change the roles of');
    END IF;
    RETURN found_one;
END $$;
COMMENT ON FUNCTION orgusers.role_to_edit(uuid, text) IS 'Id of a role by name, when the actor may change and delete it: OU103 no such role, OU108 not the actor''s to give, OU109 a role of one''s own, OU112 fixed by the policy. Internal';

CREATE FUNCTION orgusers.create_role(org_id uuid, name text, permissions text[], "like" text DEFAULT NULL) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rules     orgusers.policies;
    templates text[];
    wanted    text[];
    new_role  uuid := orgusers.new_id();
BEGIN
    PERFORM orgusers.authorize_change(create_role.org_id, 'roles.manage');
    rules := orgusers.policy_of(create_role.org_id);
    templates := ARRAY(SELECT t.id FROM orgusers.role_templates t WHERE t.policy = rules.id AND t.editable ORDER BY t.id);
    IF create_role."like" IS NULL AND cardinality(templates) <> 1 OR create_role."like" <> ALL (templates) THEN
        RAISE EXCEPTION USING ERRCODE = 'OU112',
            MESSAGE = CASE WHEN create_role."like" IS NULL THEN 'it takes a role template that the new role is like'
                           ELSE format('the organization makes no roles like %s', quote_ident(left(create_role."like", 200))) END,
            HINT = CASE cardinality(templates) WHEN 0 THEN 'The policy''s roles are all fixed.'
                   ELSE format('Roles can be made like: %s.', array_to_string(templates, ', ')) END;
    END IF;
    wanted := orgusers.known_permissions(permissions);
    PERFORM orgusers.require_permissions(create_role.org_id, wanted);
    INSERT INTO orgusers.roles (org_id, id, policy, template, name, edited, further)
        VALUES (create_role.org_id, new_role, rules.id, coalesce(create_role."like", templates[1]),
                orgusers.checked_name('this name of a role', create_role.name), true, true)
        ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'OU107', MESSAGE = 'the organization has a role of this name',
            HINT = 'Choose another name.';
    END IF;
    PERFORM orgusers.set_permissions_of(create_role.org_id, new_role, wanted);
    RETURN new_role;
END $$;
COMMENT ON FUNCTION orgusers.create_role(uuid, text, text[], text) IS 'Makes a role of the organization that permits exactly this (NULL or an empty array: nothing); returns its id. Its limits, spaces, and who may give it are those of the role template that it is like, an editable one of the organization''s policy; NULL is the only one there is. Needs roles.manage, and each permission must be one that the actor has everywhere in the organization. OU105 no such permission, OU106 bad name, OU107 name in use, OU108 permission not the actor''s to give, OU112 no such template, or one that is fixed, or several to choose from, and what require() raises';

CREATE FUNCTION orgusers.edit_role(org_id uuid, role text, new_name text DEFAULT NULL, permissions text[] DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed uuid;
    held    text[];
    wanted  text[];
BEGIN
    PERFORM orgusers.authorize_change(edit_role.org_id, 'roles.manage');
    changed := orgusers.role_to_edit(edit_role.org_id, edit_role.role);
    IF permissions IS NOT NULL THEN
        wanted := orgusers.known_permissions(permissions);
        held := orgusers.permissions_of(edit_role.org_id, changed);
        PERFORM orgusers.require_permissions(edit_role.org_id,
            ARRAY((SELECT unnest(wanted) EXCEPT SELECT unnest(held)) UNION (SELECT unnest(held) EXCEPT SELECT unnest(wanted))));
        PERFORM orgusers.set_permissions_of(edit_role.org_id, changed, wanted);
    END IF;
    IF new_name IS NOT NULL THEN
        UPDATE orgusers.roles r SET name = orgusers.checked_name('this name of a role', new_name)
            WHERE r.org_id = edit_role.org_id AND r.id = changed AND r.name <> new_name;
    END IF;
EXCEPTION WHEN unique_violation THEN
    RAISE EXCEPTION USING ERRCODE = 'OU107', MESSAGE = 'the organization has a role of this name',
        HINT = 'Choose another name.';
END $$;
COMMENT ON FUNCTION orgusers.edit_role(uuid, text, text, text[]) IS 'Changes the name of a role and what it permits (an empty array: nothing); NULL leaves either as it is. The rights of its holders follow at once, and open invitations give the role as it is when they are accepted: see role_usage() first. Needs roles.manage, the role must be the actor''s to give, and each permission added or taken must be one that the actor has everywhere in the organization. OU103 no such role, OU105 no such permission, OU106 bad name, OU107 name in use, OU108 role or permission not the actor''s to give, OU109 a role of one''s own, OU112 fixed by the policy, and what require() raises';

CREATE FUNCTION orgusers.delete_role(org_id uuid, role text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    deleted uuid;
BEGIN
    PERFORM orgusers.authorize_change(delete_role.org_id, 'roles.manage');
    deleted := orgusers.role_to_edit(delete_role.org_id, delete_role.role);
    DELETE FROM orgusers.roles r WHERE r.org_id = delete_role.org_id AND r.id = deleted;
    PERFORM orgusers.check_now();
END $$;
COMMENT ON FUNCTION orgusers.delete_role(uuid, text) IS 'Deletes a role, and takes it off users, groups, invitations, join links and join domains: its holders stay users of the organization, and an open invitation that is left without roles makes a user without roles. A role of that name made later is another one. See role_usage() first. Needs roles.manage, and the role must be the actor''s to take. OU103 no such role, OU108 not the actor''s to take, OU109 a role of one''s own, OU112 fixed by the policy, and what require() raises';

CREATE FUNCTION orgusers.role_usage(org_id uuid, role text)
    RETURNS TABLE (users bigint, users_by_groups bigint, users_left_without_role bigint, groups bigint,
                   open_invitations bigint, open_invitations_left_without_role bigint,
                   join_links bigint, join_domains bigint)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    used uuid;
BEGIN
    IF NOT orgusers.can(role_usage.org_id, 'users.view') THEN
        PERFORM orgusers.require(role_usage.org_id, 'roles.manage');
    END IF;
    used := (orgusers.role_ids(role_usage.org_id, ARRAY[role_usage.role]))[1];
    RETURN QUERY
        WITH holders AS (
            SELECT h.user_id, bool_or(h.group_id IS NULL) AS directly FROM orgusers.held_roles h
            WHERE h.org_id = role_usage.org_id AND h.role_id = used GROUP BY h.user_id
        ), given AS (
            SELECT i.id, bool_or(g.role_id <> used) AS others FROM orgusers.invitations i
            CROSS JOIN LATERAL (
                SELECT ir.role_id FROM orgusers.invitation_roles ir WHERE ir.org_id = i.org_id AND ir.invitation_id = i.id
                UNION ALL
                SELECT gr.role_id FROM orgusers.invitation_groups ig JOIN orgusers.group_roles gr USING (org_id, group_id)
                WHERE ig.org_id = i.org_id AND ig.invitation_id = i.id) AS g
            WHERE i.org_id = role_usage.org_id AND i.status = 'pending' AND i.expires_at > clock_timestamp()
            GROUP BY i.id HAVING bool_or(g.role_id = used)
        )
        SELECT (SELECT count(*) FROM holders),
               (SELECT count(*) FROM holders h WHERE NOT h.directly),
               (SELECT count(*) FROM holders h WHERE NOT EXISTS (SELECT FROM orgusers.held_roles o
                   WHERE o.org_id = role_usage.org_id AND o.user_id = h.user_id AND o.role_id <> used)),
               (SELECT count(*) FROM orgusers.group_roles gr WHERE gr.org_id = role_usage.org_id AND gr.role_id = used),
               (SELECT count(*) FROM given),
               (SELECT count(*) FROM given g WHERE NOT g.others),
               (SELECT count(*) FROM orgusers.join_link_roles lr JOIN orgusers.join_links l ON l.org_id = lr.org_id AND l.id = lr.link_id
                WHERE lr.org_id = role_usage.org_id AND lr.role_id = used
                  AND l.revoked_at IS NULL AND l.expires_at > clock_timestamp() AND l.uses < l.most_uses),
               (SELECT count(*) FROM orgusers.join_domain_roles dr WHERE dr.org_id = role_usage.org_id AND dr.role_id = used);
END $$;
COMMENT ON FUNCTION orgusers.role_usage(uuid, text) IS 'What editing or deleting a role would touch, in one row: users who hold it (active and deactivated), those of them who hold it by a group only, and those who would be left without any role; groups that carry it; open invitations (pending and not expired) that give it, directly or by a group, and those of them that would give no role any more; join links that still work and join domains that give it. Needs users.view or roles.manage. OU103 no such role, and what require() raises';

CREATE FUNCTION orgusers.list_roles(org_id uuid)
    RETURNS TABLE (role_id uuid, name text, template text, editable boolean, edited boolean, permissions text[], users bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    counted boolean;
BEGIN
    PERFORM orgusers.require(list_roles.org_id, 'organization.view');
    counted := orgusers.can(list_roles.org_id, 'users.view');
    RETURN QUERY
        SELECT r.id, r.name, r.template, t.editable, r.edited, orgusers.permissions_of(r.org_id, r.id),
               CASE WHEN counted THEN (SELECT count(DISTINCT h.user_id) FROM orgusers.held_roles h
                                       WHERE h.org_id = r.org_id AND h.role_id = r.id) END
        FROM orgusers.roles r JOIN orgusers.role_templates t ON t.policy = r.policy AND t.id = r.template
        WHERE r.org_id = list_roles.org_id
        ORDER BY t.editable, r.name;
END $$;
COMMENT ON FUNCTION orgusers.list_roles(uuid) IS 'Roles of the organization, fixed ones first: whether the organization can change it (editable) and has (edited), what it permits, and how many users hold it, directly or by groups (NULL without users.view). Needs organization.view. Raises what require() raises';
