-- Users of an organization: roles, removal, deactivation.

CREATE FUNCTION orgusers.role_ids(org_id uuid, names text[]) RETURNS uuid[]
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    unknown text;
BEGIN
    SELECT coalesce(n, 'NULL') INTO unknown FROM unnest(names) n
        WHERE NOT EXISTS (SELECT FROM orgusers.roles r WHERE r.org_id = role_ids.org_id AND r.name = n) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'OU103', MESSAGE = format('the organization has no role %s', quote_ident(left(unknown, 200))),
            HINT = 'Roles are named as in orgusers.roles, letter by letter.';
    END IF;
    RETURN ARRAY(SELECT r.id FROM orgusers.roles r WHERE r.org_id = role_ids.org_id AND r.name = ANY (names));
END $$;
COMMENT ON FUNCTION orgusers.role_ids(uuid, text[]) IS 'Ids of the organization''s roles with these names; OU103 when it lacks one. NULL is no names. Internal';

CREATE FUNCTION orgusers.require_grantable(org_id uuid, role_ids uuid[]) RETURNS void
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    refused text;
BEGIN
    SELECT r.name INTO refused FROM orgusers.roles r
        WHERE r.org_id = require_grantable.org_id AND r.id = ANY (role_ids)
          AND NOT orgusers.may_grant(orgusers.current_user_id(), r.org_id, r.id)
        ORDER BY r.name LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'OU108', MESSAGE = format('you may neither give nor take the role %s', quote_ident(refused)),
            HINT = 'Ask a user of the organization whose role may.';
    END IF;
END $$;
COMMENT ON FUNCTION orgusers.require_grantable(uuid, uuid[]) IS 'Returns when the actor may give and take all these roles, else OU108. Internal';

-- In PL/pgSQL, as whatever flows call often: a function in SQL would be planned at each call.
CREATE FUNCTION orgusers.policy_of(org_id uuid) RETURNS orgusers.policies
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT p FROM orgusers.organizations o JOIN orgusers.policies p ON p.id = o.policy WHERE o.id = policy_of.org_id);
END $$;
COMMENT ON FUNCTION orgusers.policy_of(uuid) IS 'The switches that the organization follows. Internal';

CREATE FUNCTION orgusers.member(org_id uuid, user_id uuid) RETURNS orgusers.memberships
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_one orgusers.memberships;
BEGIN
    SELECT * INTO found_one FROM orgusers.memberships m WHERE m.org_id = member.org_id AND m.user_id = member.user_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'OU102', MESSAGE = 'no such user in this organization',
            HINT = 'list_users() lists them.';
    END IF;
    RETURN found_one;
END $$;
COMMENT ON FUNCTION orgusers.member(uuid, uuid) IS 'The membership, or OU102. Internal';

CREATE FUNCTION orgusers.refuse_self(org_id uuid, user_id uuid, allowed boolean, what text) RETURNS void
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    inviter text;
BEGIN
    IF allowed OR refuse_self.user_id IS DISTINCT FROM orgusers.current_user_id() THEN
        RETURN;
    END IF;
    SELECT coalesce(u.display_name, u.email::text) INTO inviter
        FROM orgusers.memberships m JOIN orgusers.users u ON u.id = m.invited_by
        WHERE m.org_id = refuse_self.org_id AND m.user_id = refuse_self.user_id;
    RAISE EXCEPTION USING ERRCODE = 'OU109', MESSAGE = format('you may not %s yourself', what),
        HINT = CASE WHEN inviter IS NULL THEN 'Ask another user of the organization who may.' ELSE format('Ask %s, who has invited you.', inviter) END;
END $$;
COMMENT ON FUNCTION orgusers.refuse_self(uuid, uuid, boolean, text) IS 'Raises OU109 when the user is the actor and the policy''s switch (allowed) is off; the hint names the inviter. Internal';

CREATE FUNCTION orgusers.require_over(org_id uuid, user_id uuid) RETURNS void
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    lacking text;
BEGIN
    PERFORM orgusers.require_grantable(require_over.org_id,
        ARRAY(SELECT h.role_id FROM orgusers.held_roles h WHERE h.org_id = require_over.org_id AND h.user_id = require_over.user_id));
    SELECT p.permission INTO lacking FROM orgusers.membership_permissions p
        WHERE p.org_id = require_over.org_id AND p.user_id = require_over.user_id
          AND NOT orgusers.can(p.org_id, p.permission) ORDER BY p.permission LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'OU108', MESSAGE = format('this user has the permission %s, which you have not', quote_ident(lacking)),
            HINT = 'Ask a user of the organization who has it.';
    END IF;
END $$;
COMMENT ON FUNCTION orgusers.require_over(uuid, uuid) IS 'Returns when all that the user has in the organization (roles, directly and by groups, and single permissions) is the actor''s to give and take, else OU108. Internal';

CREATE FUNCTION orgusers.set_user_roles(org_id uuid, user_id uuid, roles text[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wanted uuid[];
    held   uuid[];
BEGIN
    PERFORM orgusers.authorize_change(set_user_roles.org_id, 'roles.assign');
    PERFORM orgusers.member(set_user_roles.org_id, set_user_roles.user_id);
    PERFORM orgusers.refuse_self(set_user_roles.org_id, set_user_roles.user_id,
        (orgusers.policy_of(set_user_roles.org_id)).own_role_change, 'change the roles of');
    wanted := orgusers.role_ids(set_user_roles.org_id, set_user_roles.roles);
    held := ARRAY(SELECT mr.role_id FROM orgusers.membership_roles mr
                  WHERE mr.org_id = set_user_roles.org_id AND mr.user_id = set_user_roles.user_id);
    PERFORM orgusers.require_grantable(set_user_roles.org_id,
        ARRAY((SELECT unnest(wanted) EXCEPT SELECT unnest(held)) UNION (SELECT unnest(held) EXCEPT SELECT unnest(wanted))));
    DELETE FROM orgusers.membership_roles mr
        WHERE mr.org_id = set_user_roles.org_id AND mr.user_id = set_user_roles.user_id AND mr.role_id <> ALL (wanted);
    INSERT INTO orgusers.membership_roles (org_id, user_id, role_id)
        SELECT set_user_roles.org_id, set_user_roles.user_id, unnest(wanted) ON CONFLICT DO NOTHING;
    PERFORM orgusers.check_now();
END $$;
COMMENT ON FUNCTION orgusers.set_user_roles(uuid, uuid, text[]) IS 'Gives a user of the organization exactly these roles, by name; NULL or an empty array takes all. Needs roles.assign, and each role given or taken must be one that the actor''s roles may give. OU102 no such user there, OU103 no such role, OU108 role not the actor''s to give, OU109 own roles, OU303 and OU304 too few or too many holders, and what require() raises';

CREATE FUNCTION orgusers.refuse_billing_admin(org_id uuid, user_id uuid) RETURNS void
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM orgusers.subscriptions s
               WHERE s.org_id = refuse_billing_admin.org_id AND s.billing_admin_id = refuse_billing_admin.user_id) THEN
        RAISE EXCEPTION USING ERRCODE = 'OU302', MESSAGE = 'this user is the billing admin',
            HINT = 'Choose another billing admin first, with set_billing_admin().';
    END IF;
END $$;
COMMENT ON FUNCTION orgusers.refuse_billing_admin(uuid, uuid) IS 'Raises OU302 when the user is the organization''s billing admin. Internal';

CREATE FUNCTION orgusers.remove_user(org_id uuid, user_id uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    removed orgusers.users;
BEGIN
    PERFORM orgusers.authorize_change(remove_user.org_id, 'users.remove');
    PERFORM orgusers.member(remove_user.org_id, remove_user.user_id);
    PERFORM orgusers.refuse_self(remove_user.org_id, remove_user.user_id,
        (orgusers.policy_of(remove_user.org_id)).self_removal, 'remove');
    PERFORM orgusers.require_over(remove_user.org_id, remove_user.user_id);
    PERFORM orgusers.refuse_billing_admin(remove_user.org_id, remove_user.user_id);
    DELETE FROM orgusers.memberships m WHERE m.org_id = remove_user.org_id AND m.user_id = remove_user.user_id;
    PERFORM orgusers.check_now();
    SELECT * INTO STRICT removed FROM orgusers.users u WHERE u.id = remove_user.user_id;
    IF removed.id <> orgusers.current_user_id() THEN
        PERFORM orgusers.enqueue_mail(remove_user.org_id, 'user_removed', removed.email, removed.display_name, removed.locale,
            orgusers.mail_people(removed.id));
    END IF;
END $$;
COMMENT ON FUNCTION orgusers.remove_user(uuid, uuid) IS 'Removes a user from the organization with roles and groups there, at once; the user gets mail, unless it is the actor. Needs users.remove, and the user''s roles and single permissions must be the actor''s to take. OU102 no such user there, OU108 role not the actor''s to take, OU109 oneself, OU302 the billing admin, OU303 too few holders of a role, OU404 no mail template, and what require() raises';

CREATE FUNCTION orgusers.deactivate_user(org_id uuid, user_id uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM orgusers.authorize_change(deactivate_user.org_id, 'users.deactivate');
    IF (orgusers.member(deactivate_user.org_id, deactivate_user.user_id)).status = 'deactivated' THEN
        RETURN;
    END IF;
    PERFORM orgusers.refuse_self(deactivate_user.org_id, deactivate_user.user_id,
        (orgusers.policy_of(deactivate_user.org_id)).self_removal, 'deactivate');
    PERFORM orgusers.require_over(deactivate_user.org_id, deactivate_user.user_id);
    PERFORM orgusers.refuse_billing_admin(deactivate_user.org_id, deactivate_user.user_id);
    UPDATE orgusers.memberships m SET status = 'deactivated', deactivated_at = now()
        WHERE m.org_id = deactivate_user.org_id AND m.user_id = deactivate_user.user_id;
    PERFORM orgusers.check_now();
END $$;
COMMENT ON FUNCTION orgusers.deactivate_user(uuid, uuid) IS 'Takes a user''s rights and seat in the organization, at once, and keeps roles and groups for a reactivation; does nothing for a deactivated one. Needs users.deactivate. Raises what remove_user() raises';

CREATE FUNCTION orgusers.reactivate_user(org_id uuid, user_id uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM orgusers.authorize_change(reactivate_user.org_id, 'users.deactivate');
    PERFORM orgusers.member(reactivate_user.org_id, reactivate_user.user_id);
    PERFORM orgusers.require_over(reactivate_user.org_id, reactivate_user.user_id);
    UPDATE orgusers.memberships m SET status = 'active', deactivated_at = NULL
        WHERE m.org_id = reactivate_user.org_id AND m.user_id = reactivate_user.user_id AND m.status = 'deactivated';
    PERFORM orgusers.check_now();
END $$;
COMMENT ON FUNCTION orgusers.reactivate_user(uuid, uuid) IS 'Gives a deactivated user''s rights back, which takes a seat; does nothing for an active one. Needs users.deactivate. OU102 no such user there, OU108 role not the actor''s to give, OU301 no seat left, OU304 too many holders of a role, and what require() raises';

CREATE FUNCTION orgusers.list_users(org_id uuid, search text DEFAULT NULL, after orgusers.email DEFAULT NULL, page integer DEFAULT 100)
    RETURNS TABLE (user_id uuid, email orgusers.email, display_name text, avatar_url text, roles text[], groups text[],
                   status text, is_billing_admin boolean, joined_at timestamptz)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM orgusers.require(list_users.org_id, 'users.view');
    RETURN QUERY
        SELECT u.id, u.email, u.display_name, u.avatar_url,
               ARRAY(SELECT r.name FROM orgusers.membership_roles mr JOIN orgusers.roles r ON r.org_id = mr.org_id AND r.id = mr.role_id
                     WHERE mr.org_id = m.org_id AND mr.user_id = m.user_id ORDER BY r.name),
               ARRAY(SELECT g.name FROM orgusers.group_members gm JOIN orgusers.groups g ON g.org_id = gm.org_id AND g.id = gm.group_id
                     WHERE gm.org_id = m.org_id AND gm.user_id = m.user_id ORDER BY g.name),
               m.status,
               EXISTS (SELECT FROM orgusers.subscriptions s WHERE s.org_id = m.org_id AND s.billing_admin_id = m.user_id),
               m.joined_at
        FROM orgusers.memberships m JOIN orgusers.users u ON u.id = m.user_id
        WHERE m.org_id = list_users.org_id
          AND (list_users.after IS NULL OR u.email > list_users.after)
          AND (list_users.search IS NULL
               OR strpos(lower(u.email::text), lower(list_users.search)) > 0
               OR strpos(lower(u.display_name), lower(list_users.search)) > 0)
        ORDER BY u.email
        LIMIT least(greatest(list_users.page, 1), 1000);
END $$;
COMMENT ON FUNCTION orgusers.list_users(uuid, text, orgusers.email, integer) IS 'Users of the organization in order of their addresses, active and deactivated: those whose address or name contains search (NULL: all), behind the address after (NULL: from the first), page rows at most (1 to 1000). roles are those held directly; groups may bring further ones. Needs users.view. Raises what require() raises';
