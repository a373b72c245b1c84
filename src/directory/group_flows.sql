-- Groups: making them, and who and what is in them.  A group that carries roles gives them to its users, so
-- putting a user in, or a role on, is giving that role, and taking out is taking it.

CREATE FUNCTION orgusers.group_ids(org_id uuid, names text[]) RETURNS uuid[]
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    unknown text;
BEGIN
    SELECT coalesce(n, 'NULL') INTO unknown FROM unnest(names) n
        WHERE NOT EXISTS (SELECT FROM orgusers.groups g WHERE g.org_id = group_ids.org_id AND g.name = n) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'OU104', MESSAGE = format('the organization has no group %s', quote_ident(left(unknown, 200))),
            HINT = 'Groups are named as in orgusers.groups, letter by letter; create_group() makes one.';
    END IF;
    RETURN ARRAY(SELECT g.id FROM orgusers.groups g WHERE g.org_id = group_ids.org_id AND g.name = ANY (names));
END $$;
COMMENT ON FUNCTION orgusers.group_ids(uuid, text[]) IS 'Ids of the organization''s groups with these names; OU104 when it lacks one. NULL is no names. Internal';

CREATE FUNCTION orgusers.roles_by_groups(org_id uuid, group_ids uuid[]) RETURNS uuid[]
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN ARRAY(SELECT DISTINCT gr.role_id FROM orgusers.group_roles gr
                 WHERE gr.org_id = roles_by_groups.org_id AND gr.group_id = ANY (roles_by_groups.group_ids));
END $$;
COMMENT ON FUNCTION orgusers.roles_by_groups(uuid, uuid[]) IS 'Ids of the roles that these groups carry. Internal';

CREATE FUNCTION orgusers.require_groups(org_id uuid, user_id uuid, group_ids uuid[]) RETURNS void
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    carried   uuid[] := orgusers.roles_by_groups(require_groups.org_id, require_groups.group_ids);
    in_spaces boolean := EXISTS (SELECT FROM orgusers.space_groups sg
                                 WHERE sg.org_id = require_groups.org_id AND sg.group_id = ANY (require_groups.group_ids));
BEGIN
    PERFORM orgusers.require_grantable(require_groups.org_id, carried);
    IF in_spaces THEN
        PERFORM orgusers.require(require_groups.org_id, 'spaces.assign');
    END IF;
    IF carried <> '{}' OR in_spaces THEN
        PERFORM orgusers.refuse_self(require_groups.org_id, require_groups.user_id,
            (orgusers.policy_of(require_groups.org_id)).own_role_change, 'change the roles of');
    END IF;
END $$;
COMMENT ON FUNCTION orgusers.require_groups(uuid, uuid, uuid[]) IS 'Returns when the actor may put the user (NULL: nobody yet) into these groups and take the user out, as what they carry says: every role must be the actor''s to give (OU108), spaces need spaces.assign (OU002), and the policy may forbid it for oneself (OU109). Internal';

CREATE FUNCTION orgusers.require_group_change(org_id uuid, group_id uuid) RETURNS void
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM orgusers.require_groups(require_group_change.org_id,
        (SELECT gm.user_id FROM orgusers.group_members gm
         WHERE gm.org_id = require_group_change.org_id AND gm.group_id = require_group_change.group_id
           AND gm.user_id = orgusers.current_user_id()),
        ARRAY[require_group_change.group_id]);
END $$;
COMMENT ON FUNCTION orgusers.require_group_change(uuid, uuid) IS 'As require_groups() for all users of a group, the actor perhaps among them. Internal';

CREATE FUNCTION orgusers.create_group(org_id uuid, name text, roles text[] DEFAULT '{}') RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    new_group uuid := orgusers.new_id();
BEGIN
    PERFORM orgusers.authorize_change(create_group.org_id, 'groups.manage');
    INSERT INTO orgusers.groups (org_id, id, name)
        VALUES (create_group.org_id, new_group, orgusers.checked_name('this name of a group', create_group.name))
        ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'OU107', MESSAGE = 'the organization has a group of this name',
            HINT = 'Choose another name.';
    END IF;
    PERFORM orgusers.set_group_roles(create_group.org_id, create_group.name, create_group.roles);
    RETURN new_group;
END $$;
COMMENT ON FUNCTION orgusers.create_group(uuid, text, text[]) IS 'Makes a group that carries these roles, by name; returns its id. Needs groups.manage. OU103 no such role, OU106 bad name, OU107 name in use, OU108 role not the actor''s to give, OU113 a free role, and what require() raises';

CREATE FUNCTION orgusers.rename_group(org_id uuid, name text, new_name text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    renamed uuid;
BEGIN
    PERFORM orgusers.authorize_change(rename_group.org_id, 'groups.manage');
    renamed := (orgusers.group_ids(rename_group.org_id, ARRAY[rename_group.name]))[1];
    -- Others give roles by the name of a group.
    PERFORM orgusers.require_group_change(rename_group.org_id, renamed);
    UPDATE orgusers.groups g SET name = orgusers.checked_name('this name of a group', new_name)
        WHERE g.org_id = rename_group.org_id AND g.id = renamed;
EXCEPTION WHEN unique_violation THEN
    RAISE EXCEPTION USING ERRCODE = 'OU107', MESSAGE = 'the organization has a group of this name',
        HINT = 'Choose another name.';
END $$;
COMMENT ON FUNCTION orgusers.rename_group(uuid, text, text) IS 'Changes a group''s name. Needs groups.manage, and what the group carries must be the actor''s to give. OU104 no such group, OU106 bad name, OU107 name in use, OU108 role not the actor''s to give, OU109 a group of one''s own, and what require() raises';

CREATE FUNCTION orgusers.delete_group(org_id uuid, name text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    deleted uuid;
BEGIN
    PERFORM orgusers.authorize_change(delete_group.org_id, 'groups.manage');
    deleted := (orgusers.group_ids(delete_group.org_id, ARRAY[delete_group.name]))[1];
    PERFORM orgusers.require_group_change(delete_group.org_id, deleted);
    DELETE FROM orgusers.groups g WHERE g.org_id = delete_group.org_id AND g.id = deleted;
END $$;
COMMENT ON FUNCTION orgusers.delete_group(uuid, text) IS 'Deletes a group; its users lose the roles it carries, and open invitations no longer lead into it. Needs groups.manage. OU104 no such group, OU108 role not the actor''s to take, OU109 a group of one''s own, and what require() raises';

CREATE FUNCTION orgusers.set_group_roles(org_id uuid, name text, roles text[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed uuid;
    wanted  uuid[];
    held    uuid[];
BEGIN
    PERFORM orgusers.authorize_change(set_group_roles.org_id, 'groups.manage');
    changed := (orgusers.group_ids(set_group_roles.org_id, ARRAY[set_group_roles.name]))[1];
    wanted := orgusers.role_ids(set_group_roles.org_id, set_group_roles.roles);
    held := orgusers.roles_by_groups(set_group_roles.org_id, ARRAY[changed]);
    PERFORM orgusers.require_grantable(set_group_roles.org_id,
        ARRAY((SELECT unnest(wanted) EXCEPT SELECT unnest(held)) UNION (SELECT unnest(held) EXCEPT SELECT unnest(wanted))));
    IF NOT orgusers.takes_seat(set_group_roles.org_id, wanted) THEN
        RAISE EXCEPTION USING ERRCODE = 'OU113', MESSAGE = 'a group carries no free roles',
            HINT = 'Give them to users directly, with set_user_roles().';
    END IF;
    IF EXISTS (SELECT FROM orgusers.group_members gm WHERE gm.org_id = set_group_roles.org_id AND gm.group_id = changed
                 AND gm.user_id = orgusers.current_user_id()) THEN
        PERFORM orgusers.refuse_self(set_group_roles.org_id, orgusers.current_user_id(),
            (orgusers.policy_of(set_group_roles.org_id)).own_role_change, 'change the roles of');
    END IF;
    DELETE FROM orgusers.group_roles gr
        WHERE gr.org_id = set_group_roles.org_id AND gr.group_id = changed AND gr.role_id <> ALL (wanted);
    INSERT INTO orgusers.group_roles (org_id, group_id, role_id)
        SELECT set_group_roles.org_id, changed, unnest(wanted) ON CONFLICT DO NOTHING;
END $$;
COMMENT ON FUNCTION orgusers.set_group_roles(uuid, text, text[]) IS 'Makes a group carry exactly these roles, by name. Needs groups.manage. OU103 no such role, OU104 no such group, OU108 role not the actor''s to give or take, OU109 a group of one''s own, OU113 a free role, and what require() raises';

CREATE FUNCTION orgusers.set_user_groups(org_id uuid, user_id uuid, groups text[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    grouped orgusers.memberships;
    wanted  uuid[];
    held    uuid[];
BEGIN
    PERFORM orgusers.authorize_change(set_user_groups.org_id, 'groups.manage');
    grouped := orgusers.member(set_user_groups.org_id, set_user_groups.user_id);
    wanted := orgusers.group_ids(set_user_groups.org_id, set_user_groups.groups);
    PERFORM orgusers.require_kind(grouped.holds_seat OR wanted = '{}', 'a free user is in no group');
    held := ARRAY(SELECT gm.group_id FROM orgusers.group_members gm
                  WHERE gm.org_id = set_user_groups.org_id AND gm.user_id = set_user_groups.user_id);
    PERFORM orgusers.require_groups(set_user_groups.org_id, set_user_groups.user_id,
        ARRAY((SELECT unnest(wanted) EXCEPT SELECT unnest(held)) UNION (SELECT unnest(held) EXCEPT SELECT unnest(wanted))));
    DELETE FROM orgusers.group_members gm
        WHERE gm.org_id = set_user_groups.org_id AND gm.user_id = set_user_groups.user_id AND gm.group_id <> ALL (wanted);
    INSERT INTO orgusers.group_members (org_id, group_id, user_id)
        SELECT set_user_groups.org_id, unnest(wanted), set_user_groups.user_id ON CONFLICT DO NOTHING;
END $$;
COMMENT ON FUNCTION orgusers.set_user_groups(uuid, uuid, text[]) IS 'Puts a user of the organization in exactly these groups, by name; NULL or an empty array takes the user out of all. Needs groups.manage. OU102 no such user there, OU104 no such group, OU108 a group''s role is not the actor''s to give or take, OU109 own roles, OU113 a free user, and what require() raises';
