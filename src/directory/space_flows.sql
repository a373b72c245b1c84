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
        RAISE EXCEPTION USING ERRCODE = 'OU107', MESSAGE = 'the organization has a space of this name';
    END IF;
    RETURN new_space;
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
    RAISE EXCEPTION USING ERRCODE = 'OU107', MESSAGE = 'the organization has a space of this name';
END $$;
COMMENT ON FUNCTION orgusers.rename_space(uuid, text, text) IS 'Changes a space''s name. Needs spaces.manage. OU106 bad name, OU107 name in use, OU111 no such space, and what require() raises';

CREATE FUNCTION orgusers.delete_space(org_id uuid, name text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    deleted uuid[];
BEGIN
    PERFORM orgusers.require(delete_space.org_id, 'spaces.manage');
    deleted := orgusers.space_ids(delete_space.org_id, ARRAY[delete_space.name]);
    DELETE FROM orgusers.spaces s WHERE s.org_id = delete_space.org_id AND s.id = ANY (deleted);
END $$;
COMMENT ON FUNCTION orgusers.delete_space(uuid, text) IS 'Deletes a space with its assignments; foreign keys of the application''s tables decide about theirs. Needs spaces.manage. OU111 no such space, and what require() raises';

CREATE FUNCTION orgusers.set_user_spaces(org_id uuid, user_id uuid, spaces text[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wanted uuid[];
BEGIN
    PERFORM orgusers.require(set_user_spaces.org_id, 'spaces.assign');
    PERFORM orgusers.member(set_user_spaces.org_id, set_user_spaces.user_id);
    wanted := orgusers.space_ids(set_user_spaces.org_id, set_user_spaces.spaces);
    DELETE FROM orgusers.space_members sm
        WHERE sm.org_id = set_user_spaces.org_id AND sm.user_id = set_user_spaces.user_id AND sm.space_id <> ALL (wanted);
    INSERT INTO orgusers.space_members (org_id, space_id, user_id)
        SELECT set_user_spaces.org_id, unnest(wanted), set_user_spaces.user_id ON CONFLICT DO NOTHING;
END $$;
COMMENT ON FUNCTION orgusers.set_user_spaces(uuid, uuid, text[]) IS 'Assigns exactly these spaces, by name, to a user of the organization; NULL or an empty array assigns none. Spaces that come with groups stay. Needs spaces.assign. OU102 no such user there, OU111 no such space, and what require() raises';

CREATE FUNCTION orgusers.set_group_spaces(org_id uuid, name text, spaces text[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed uuid;
    wanted  uuid[];
BEGIN
    PERFORM orgusers.require(set_group_spaces.org_id, 'spaces.assign');
    changed := (orgusers.group_ids(set_group_spaces.org_id, ARRAY[set_group_spaces.name]))[1];
    wanted := orgusers.space_ids(set_group_spaces.org_id, set_group_spaces.spaces);
    DELETE FROM orgusers.space_groups sg
        WHERE sg.org_id = set_group_spaces.org_id AND sg.group_id = changed AND sg.space_id <> ALL (wanted);
    INSERT INTO orgusers.space_groups (org_id, space_id, group_id)
        SELECT set_group_spaces.org_id, unnest(wanted), changed ON CONFLICT DO NOTHING;
END $$;
COMMENT ON FUNCTION orgusers.set_group_spaces(uuid, text, text[]) IS 'Assigns exactly these spaces, by name, to every user of a group; NULL or an empty array assigns none. Needs spaces.assign. OU104 no such group, OU111 no such space, and what require() raises';

CREATE FUNCTION orgusers.set_user_permissions(org_id uuid, user_id uuid, permissions text[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wanted text[];
    held   text[];
BEGIN
    PERFORM orgusers.authorize_change(set_user_permissions.org_id, 'permissions.assign');
    PERFORM orgusers.member(set_user_permissions.org_id, set_user_permissions.user_id);
    PERFORM orgusers.refuse_self(set_user_permissions.org_id, set_user_permissions.user_id,
        (orgusers.policy_of(set_user_permissions.org_id)).own_role_change, 'change the permissions of');
    wanted := orgusers.known_permissions(permissions);
    held := ARRAY(SELECT mp.permission FROM orgusers.membership_permissions mp
                  WHERE mp.org_id = set_user_permissions.org_id AND mp.user_id = set_user_permissions.user_id);
    PERFORM orgusers.require_permissions(set_user_permissions.org_id,
        ARRAY((SELECT unnest(wanted) EXCEPT SELECT unnest(held)) UNION (SELECT unnest(held) EXCEPT SELECT unnest(wanted))));
    DELETE FROM orgusers.membership_permissions mp
        WHERE mp.org_id = set_user_permissions.org_id AND mp.user_id = set_user_permissions.user_id AND mp.permission <> ALL (wanted);
    INSERT INTO orgusers.membership_permissions (org_id, user_id, permission)
        SELECT set_user_permissions.org_id, set_user_permissions.user_id, unnest(wanted) ON CONFLICT DO NOTHING;
END $$;
COMMENT ON FUNCTION orgusers.set_user_permissions(uuid, uuid, text[]) IS 'Gives a user of the organization exactly these single permissions, beside those of roles; NULL or an empty array takes all. Needs permissions.assign, and each permission given or taken must be one that the actor has. OU102 no such user there, OU105 no such permission, OU108 not the actor''s to give, OU109 own permissions, and what require() raises';
