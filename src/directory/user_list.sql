-- The list of users, which can show who is invited as well.

CREATE FUNCTION orgusers.list_users(org_id uuid, search text DEFAULT NULL, after orgusers.email DEFAULT NULL, page integer DEFAULT 100,
                                    statuses text[] DEFAULT NULL)
    RETURNS TABLE (user_id uuid, email orgusers.email, display_name text, avatar_url text, roles text[], groups text[],
                   status text, is_billing_admin boolean, joined_at timestamptz,
                   last_active_at timestamptz, spaces text[], invitation_id uuid)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    wanted  text[] := coalesce(statuses, '{active,deactivated}');
    rows    bigint := least(greatest(coalesce(page, 100), 1), 1000);
    moment  timestamptz := clock_timestamp();
    unknown text;
BEGIN
    PERFORM orgusers.require(list_users.org_id, 'users.view');
    SELECT coalesce(w, 'NULL') INTO unknown FROM unnest(wanted) w WHERE (w IN ('active', 'deactivated', 'pending', 'expired', 'declined')) IS NOT TRUE LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'OU009', MESSAGE = format('the list of users knows no status %s', quote_ident(left(unknown, 200))),
            HINT = 'The statuses are active and deactivated, of users, and pending, expired and declined, of who is invited.';
    END IF;
    -- A page of each kind, merged; then the names of what those few have.
    RETURN QUERY
        WITH found_users AS (
            SELECT m.user_id, u.email, u.display_name, u.avatar_url, m.status, m.joined_at
            FROM orgusers.memberships m JOIN orgusers.users u ON u.id = m.user_id
            WHERE m.org_id = list_users.org_id AND m.status = ANY (wanted)
              AND (after IS NULL OR u.email > after)
              -- "= 1" has the planner expect few to match: it then reads the organization's users, not everybody's addresses.
              AND (search IS NULL OR sign(greatest(strpos(lower(u.email::text), lower(search)), strpos(lower(u.display_name), lower(search)))) = 1)
            ORDER BY u.email LIMIT rows
        ), newest AS (
            -- The latest word on each address.
            SELECT DISTINCT ON (i.email) i.id, i.email, nullif(concat_ws(' ', i.first_name, i.last_name), '') AS display_name,
                   CASE WHEN i.status = 'pending' AND i.expires_at <= moment THEN 'expired' ELSE i.status END AS status
            FROM orgusers.invitations i
            WHERE i.org_id = list_users.org_id AND wanted && '{pending,expired,declined}'
              AND (after IS NULL OR i.email > after)
            ORDER BY i.email, i.id DESC
        ), found_invited AS (
            SELECT n.* FROM newest n
            WHERE n.status = ANY (wanted)
              AND (search IS NULL OR greatest(strpos(lower(n.email::text), lower(search)), strpos(lower(n.display_name), lower(search))) > 0)
              AND NOT EXISTS (SELECT FROM orgusers.users u JOIN orgusers.memberships m ON m.user_id = u.id
                              WHERE u.email = n.email AND m.org_id = list_users.org_id)
            ORDER BY n.email LIMIT rows
        ), found AS (
            SELECT f.user_id, NULL::uuid AS invitation_id, f.email, f.display_name, f.avatar_url, f.status, f.joined_at FROM found_users f
            UNION ALL
            SELECT NULL, f.id, f.email, f.display_name, NULL, f.status, NULL FROM found_invited f
            ORDER BY 3 LIMIT rows
        )
        SELECT f.user_id, f.email, f.display_name, f.avatar_url,
               ARRAY(SELECT r.name FROM orgusers.membership_roles mr JOIN orgusers.roles r ON r.org_id = mr.org_id AND r.id = mr.role_id
                     WHERE mr.org_id = list_users.org_id AND mr.user_id = f.user_id
                     UNION ALL
                     SELECT r.name FROM orgusers.invitation_roles ir JOIN orgusers.roles r ON r.org_id = ir.org_id AND r.id = ir.role_id
                     WHERE ir.org_id = list_users.org_id AND ir.invitation_id = f.invitation_id ORDER BY 1),
               ARRAY(SELECT g.name FROM orgusers.group_members gm JOIN orgusers.groups g ON g.org_id = gm.org_id AND g.id = gm.group_id
                     WHERE gm.org_id = list_users.org_id AND gm.user_id = f.user_id
                     UNION ALL
                     SELECT g.name FROM orgusers.invitation_groups ig JOIN orgusers.groups g ON g.org_id = ig.org_id AND g.id = ig.group_id
                     WHERE ig.org_id = list_users.org_id AND ig.invitation_id = f.invitation_id ORDER BY 1),
               f.status,
               EXISTS (SELECT FROM orgusers.subscriptions s WHERE s.org_id = list_users.org_id AND s.billing_admin_id = f.user_id),
               f.joined_at,
               (SELECT a.at FROM orgusers.last_activity a WHERE a.org_id = list_users.org_id AND a.user_id = f.user_id AND a.at >= f.joined_at),
               ARRAY(SELECT s.name FROM orgusers.space_members sm JOIN orgusers.spaces s ON s.org_id = sm.org_id AND s.id = sm.space_id
                     WHERE sm.org_id = list_users.org_id AND sm.user_id = f.user_id AND orgusers.can(s.org_id, s.id, 'spaces.view') ORDER BY s.name),
               f.invitation_id
        FROM found f ORDER BY f.email;
END $$;
COMMENT ON FUNCTION orgusers.list_users(uuid, text, orgusers.email, integer, text[]) IS 'Users of the organization in order of their addresses, and on request who is invited: those with one of the statuses (active, deactivated: users; pending, expired, declined: addresses that are no user''s, by their latest invitation; NULL: active and deactivated), whose address or name contains search (NULL: all; case matters for letters only that the database''s locale does not know), behind the address after (NULL: from the first), page rows at most (1 to 1000). Each address once. roles and spaces are those given directly; groups may bring further ones. Spaces are those that the actor may see. last_active_at is as record_activity() has noted it, NULL for never. An invited person has an invitation_id instead of a user_id. Needs users.view. OU009 no such status, and what require() raises';
