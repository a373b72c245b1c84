-- Spaces: making them, and who is assigned to them.  Single permissions, which hold beside those of roles.

CREATE FUNCTION orgusers.space_ids(org_id uuid, names text[]) RETURNS uuid[]
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    unknown text;
BEGIN
    SELECT coalesce(n, 'NULL') INTO unknown FROM unnest(names) n
        WHERE NOT EXISTS (SELECT FROM orgusers.spaces s WHERE s.org_id = space_ids.org_id AND s.name = n) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'OU111', MESSAGE = format('the organization has no space %s', quote_ident(left(unknown, 200))),
            HINT = 'Spaces are named as in orgusers.spaces, letter by letter; create_space() makes one.';
    END IF;
    RETURN ARRAY(SELECT s.id FROM orgusers.spaces s WHERE s.org_id = space_ids.org_id AND s.name = ANY (names));
END $$;
COMMENT ON FUNCTION orgusers.space_ids(uuid, text[]) IS 'Ids of the organization''s spaces with these names; OU111 when it lacks one. NULL is no names. Internal';

CREATE FUNCTION orgusers.create_space(org_id uuid, name text) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    new_space uuid := orgusers.new_id();
BEGIN
    PERFORM orgusers.require(create_space.org_id, 'spaces.manage');
    INSERT INTO orgusers.spaces (org_id, id, name)
        VALUES (create_space.org_id, new_space, orgusers.checked_name('this name of a space', create_space.name))
        ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'OU107', MESSAGE = 'the organization has a space of this name',
            HINT = 'Choose another name.';
    END IF;
    RETURN new_space;
EXCEPTION WHEN foreign_key_violation THEN
    -- The organization has been deleted since it was asked for.
    PERFORM orgusers.refuse(create_space.org_id, 'spaces.manage');
END $$;
COMMENT ON FUNCTION orgusers.create_space(uuid, text) IS 'Makes a space of the organization; returns its id. Needs spaces.manage. OU106 bad name, OU107 name in use, and what require() raises';

CREATE FUNCTION orgusers.rename_space(org_id uuid, name text, new_name text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    renamed uuid[];
BEGIN
    PERFORM orgusers.require(rename_space.org_id, 'spaces.manage');
    renamed := orgusers.space_ids(rename_space.org_id, ARRAY[rename_space.name]);
    UPDATE orgusers.spaces s SET name = orgusers.checked_name('this name of a space', new_name)
        WHERE s.org_id = rename_space.org_id AND s.id = ANY (renamed);
EXCEPTION WHEN unique_violation THEN
    RAISE EXCEPTION USING ERRCODE = 'OU107', MESSAGE = 'the organization has a space of this name',
        HINT = 'Choose another name.';
END $$;
COMMENT ON FUNCTION orgusers.rename_space(uuid, text, text) IS 'Changes a space''s name. Needs spaces.manage. OU106 bad name, OU107 name in use, OU111 no such space, and what require() raises';

CREATE FUNCTION orgusers.delete_space(org_id uuid, name text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    deleted uuid[];
BEGIN
    -- The lock: a space is not deleted while it is being assigned.
    PERFORM orgusers.authorize_change(delete_space.org_id, 'spaces.manage');
    deleted := orgusers.space_ids(delete_space.org_id, ARRAY[delete_space.name]);
    DELETE FROM orgusers.spaces s WHERE s.org_id = delete_space.org_id AND s.id = ANY (deleted);
END $$;
COMMENT ON FUNCTION orgusers.delete_space(uuid, text) IS 'Deletes a space with its assignments, also those of open invitations; foreign keys of the application''s tables decide about theirs. Needs spaces.manage. OU111 no such space, and what require() raises';

CREATE FUNCTION orgusers.limit_new_spaces(org_id uuid, added uuid[]) RETURNS void
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    most integer := (orgusers.policy_of(limit_new_spaces.org_id)).spaces_per_call;
BEGIN
    IF cardinality(added) > most THEN
        RAISE EXCEPTION USING ERRCODE = 'OU118', MESSAGE = format('%s new spaces are more than can be assigned at once', cardinality(added)),
            HINT = format('Assign %s at most, and the others by further calls.', most);
    END IF;
END $$;
COMMENT ON FUNCTION orgusers.limit_new_spaces(uuid, uuid[]) IS 'Raises OU118 when these are more spaces than the policy lets one call assign to somebody. Internal';

CREATE FUNCTION orgusers.assign_spaces(org_id uuid, user_id uuid, spaces text[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    added uuid[];
BEGIN
    PERFORM orgusers.authorize_change(assign_spaces.org_id, 'spaces.assign');
    PERFORM orgusers.member(assign_spaces.org_id, assign_spaces.user_id);
    added := ARRAY(SELECT unnest(orgusers.space_ids(assign_spaces.org_id, assign_spaces.spaces))
                   EXCEPT SELECT sm.space_id FROM orgusers.space_members sm
                   WHERE sm.org_id = assign_spaces.org_id AND sm.user_id = assign_spaces.user_id);
    PERFORM orgusers.limit_new_spaces(assign_spaces.org_id, added);
    INSERT INTO orgusers.space_members (org_id, space_id, user_id)
        SELECT assign_spaces.org_id, unnest(added), assign_spaces.user_id ON CONFLICT DO NOTHING;
    PERFORM orgusers.check_now();
END $$;
COMMENT ON FUNCTION orgusers.assign_spaces(uuid, uuid, text[]) IS 'Assigns further spaces, by name, to a user of the organization, active or deactivated; those that the user has stay. Needs spaces.assign. OU102 no such user there, OU111 no such space, OU118 more new ones than the policy allows at once, OU306 more than a role of the user can have, and what require() raises';

CREATE FUNCTION orgusers.unassign_spaces(org_id uuid, user_id uuid, spaces text[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    taken uuid[];
BEGIN
    PERFORM orgusers.authorize_change(unassign_spaces.org_id, 'spaces.assign');
    PERFORM orgusers.member(unassign_spaces.org_id, unassign_spaces.user_id);
    taken := orgusers.space_ids(unassign_spaces.org_id, unassign_spaces.spaces);
    DELETE FROM orgusers.space_members sm
        WHERE sm.org_id = unassign_spaces.org_id AND sm.user_id = unassign_spaces.user_id AND sm.space_id = ANY (taken);
END $$;
COMMENT ON FUNCTION orgusers.unassign_spaces(uuid, uuid, text[]) IS 'Takes spaces, by name, from a user of the organization, active or deactivated; what comes with groups stays. Needs spaces.assign. OU102 no such user there, OU111 no such space, and what require() raises';

CREATE FUNCTION orgusers.set_user_spaces(org_id uuid, user_id uuid, spaces text[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wanted uuid[];
BEGIN
    PERFORM orgusers.authorize_change(set_user_spaces.org_id, 'spaces.assign');
    wanted := orgusers.space_ids(set_user_spaces.org_id, set_user_spaces.spaces);
    DELETE FROM orgusers.space_members sm
        WHERE sm.org_id = set_user_spaces.org_id AND sm.user_id = set_user_spaces.user_id AND sm.space_id <> ALL (wanted);
    PERFORM orgusers.assign_spaces(set_user_spaces.org_id, set_user_spaces.user_id, set_user_spaces.spaces);
END $$;
COMMENT ON FUNCTION orgusers.set_user_spaces(uuid, uuid, text[]) IS 'Assigns exactly these spaces, by name, to a user of the organization; NULL or an empty array assigns none. Spaces that come with groups stay. Needs spaces.assign. Raises what assign_spaces() raises';

CREATE FUNCTION orgusers.set_group_spaces(org_id uuid, name text, spaces text[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed uuid;
    wanted  uuid[];
BEGIN
    PERFORM orgusers.authorize_change(set_group_spaces.org_id, 'spaces.assign');
    changed := (orgusers.group_ids(set_group_spaces.org_id, ARRAY[set_group_spaces.name]))[1];
    wanted := orgusers.space_ids(set_group_spaces.org_id, set_group_spaces.spaces);
    DELETE FROM orgusers.space_groups sg
        WHERE sg.org_id = set_group_spaces.org_id AND sg.group_id = changed AND sg.space_id <> ALL (wanted);
    INSERT INTO orgusers.space_groups (org_id, space_id, group_id)
        SELECT set_group_spaces.org_id, unnest(wanted), changed ON CONFLICT DO NOTHING;
    PERFORM orgusers.check_now();
END $$;
COMMENT ON FUNCTION orgusers.set_group_spaces(uuid, text, text[]) IS 'Assigns exactly these spaces, by name, to every user of a group; NULL or an empty array assigns none. Needs spaces.assign. OU104 no such group, OU111 no such space, OU306 more than a role of a user there can have, and what require() raises';

CREATE FUNCTION orgusers.list_spaces(org_id uuid, search text DEFAULT NULL, after text DEFAULT NULL, page integer DEFAULT 100)
    RETURNS TABLE (space_id uuid, name text, users bigint, groups bigint, invitations bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF orgusers.reaches(list_spaces.org_id) IS NOT TRUE THEN
        PERFORM orgusers.refuse(list_spaces.org_id, 'spaces.view');
    END IF;
    RETURN QUERY
        SELECT s.id, s.name,
               (SELECT count(*) FROM (SELECT sm.user_id FROM orgusers.space_members sm WHERE sm.org_id = s.org_id AND sm.space_id = s.id
                                      UNION
                                      SELECT gm.user_id FROM orgusers.space_groups sg JOIN orgusers.group_members gm
                                          ON gm.org_id = sg.org_id AND gm.group_id = sg.group_id
                                      WHERE sg.org_id = s.org_id AND sg.space_id = s.id) AS assigned),
               (SELECT count(*) FROM orgusers.space_groups sg WHERE sg.org_id = s.org_id AND sg.space_id = s.id),
               (SELECT count(*) FROM orgusers.invitation_spaces sp JOIN orgusers.invitations i ON i.org_id = sp.org_id AND i.id = sp.invitation_id
                WHERE sp.org_id = s.org_id AND sp.space_id = s.id AND orgusers.status_now(i) = 'pending')
        FROM orgusers.spaces s
        WHERE s.org_id = list_spaces.org_id AND orgusers.can(s.org_id, s.id, 'spaces.view')
          AND (list_spaces.after IS NULL OR s.name > list_spaces.after)
          AND (list_spaces.search IS NULL OR strpos(lower(s.name), lower(list_spaces.search)) > 0)
        ORDER BY s.name
        LIMIT least(greatest(coalesce(list_spaces.page, 100), 1), 1000);
END $$;
COMMENT ON FUNCTION orgusers.list_spaces(uuid, text, text, integer) IS 'Spaces of the organization that the actor may see (spaces.view there), in order of their names: those whose name contains search (NULL: all), behind the name after (NULL: from the first), page rows at most (1 to 1000). With each, how many users it is assigned to, directly or by groups, how many groups, and how many pending invitations. For any user of the organization and who reaches it from above; who sees none gets none. OU001 nobody is signed in, OU007 the actor was deleted meanwhile, OU101 any other';

CREATE FUNCTION orgusers.list_space_users(org_id uuid, space text, after orgusers.email DEFAULT NULL, page integer DEFAULT 100)
    RETURNS TABLE (user_id uuid, email orgusers.email, display_name text, avatar_url text, status text, directly boolean)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    seen uuid := (SELECT s.id FROM orgusers.spaces s WHERE s.org_id = list_space_users.org_id AND s.name = list_space_users.space);
BEGIN
    IF NOT orgusers.can(list_space_users.org_id, seen, 'spaces.view') OR seen IS NULL THEN
        IF orgusers.reaches(list_space_users.org_id) IS NOT TRUE THEN
            PERFORM orgusers.refuse(list_space_users.org_id, 'spaces.view');
        END IF;
        RAISE EXCEPTION USING ERRCODE = 'OU111', MESSAGE = 'no such space among those that you see',
            HINT = 'list_spaces() lists them.';
    END IF;
    RETURN QUERY
        SELECT u.id, u.email, u.display_name, u.avatar_url, m.status, bool_or(a.direct)
        FROM (SELECT sm.user_id, true FROM orgusers.space_members sm WHERE sm.org_id = list_space_users.org_id AND sm.space_id = seen
              UNION ALL
              SELECT gm.user_id, false FROM orgusers.space_groups sg JOIN orgusers.group_members gm
                  ON gm.org_id = sg.org_id AND gm.group_id = sg.group_id
              WHERE sg.org_id = list_space_users.org_id AND sg.space_id = seen) AS a (user_id, direct)
        JOIN orgusers.memberships m ON m.org_id = list_space_users.org_id AND m.user_id = a.user_id
        JOIN orgusers.users u ON u.id = a.user_id
        WHERE list_space_users.after IS NULL OR u.email > list_space_users.after
        GROUP BY u.id, m.org_id, m.user_id
        ORDER BY u.email
        LIMIT least(greatest(coalesce(list_space_users.page, 100), 1), 1000);
END $$;
COMMENT ON FUNCTION orgusers.list_space_users(uuid, text, orgusers.email, integer) IS 'Users to whom a space, by name, is assigned, in order of their addresses, behind the address after (NULL: from the first), page rows at most (1 to 1000): active ones and deactivated ones, who stay until they are unassigned or removed. directly is false for who has it by groups only. Who reaches the space by a role for all spaces is not listed for that. Needs spaces.view there. OU001 nobody is signed in, OU007 the actor was deleted meanwhile, OU101 neither a user of the organization nor reaching it from above, OU111 no such space that the actor sees';

CREATE FUNCTION orgusers.set_user_permissions(org_id uuid, user_id uuid, permissions text[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    permitted orgusers.memberships;
    wanted    text[];
    held      text[];
BEGIN
    PERFORM orgusers.authorize_change(set_user_permissions.org_id, 'permissions.assign');
    permitted := orgusers.member(set_user_permissions.org_id, set_user_permissions.user_id);
    PERFORM orgusers.refuse_self(set_user_permissions.org_id, set_user_permissions.user_id,
        (orgusers.policy_of(set_user_permissions.org_id)).own_role_change, 'change the permissions of');
    wanted := orgusers.known_permissions(permissions);
    PERFORM orgusers.require_kind(permitted.holds_seat OR wanted = '{}', 'a free user has no single permissions');
    held := ARRAY(SELECT mp.permission FROM orgusers.membership_permissions mp
                  WHERE mp.org_id = set_user_permissions.org_id AND mp.user_id = set_user_permissions.user_id);
    PERFORM orgusers.require_permissions(set_user_permissions.org_id,
        ARRAY((SELECT unnest(wanted) EXCEPT SELECT unnest(held)) UNION (SELECT unnest(held) EXCEPT SELECT unnest(wanted))));
    DELETE FROM orgusers.membership_permissions mp
        WHERE mp.org_id = set_user_permissions.org_id AND mp.user_id = set_user_permissions.user_id AND mp.permission <> ALL (wanted);
    INSERT INTO orgusers.membership_permissions (org_id, user_id, permission)
        SELECT set_user_permissions.org_id, set_user_permissions.user_id, unnest(wanted) ON CONFLICT DO NOTHING;
END $$;
COMMENT ON FUNCTION orgusers.set_user_permissions(uuid, uuid, text[]) IS 'Gives a user of the organization exactly these single permissions, beside those of roles; NULL or an empty array takes all. Needs permissions.assign, and each permission given or taken must be one that the actor has. OU102 no such user there, OU105 no such permission, OU108 not the actor''s to give, OU109 own permissions, OU113 a free user, and what require() raises';
