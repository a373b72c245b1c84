-- Lists of invitations: the organization's, and the actor's own.

CREATE FUNCTION orgusers.list_invitations(org_id uuid, wanted text DEFAULT NULL, before uuid DEFAULT NULL, page integer DEFAULT 100)
    RETURNS TABLE (id uuid, email orgusers.email, first_name text, last_name text, roles text[], groups text[], spaces text[], status text,
                   invited_by uuid, created_at timestamptz, expires_at timestamptz)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM orgusers.require(list_invitations.org_id, 'users.view');
    RETURN QUERY
        SELECT i.id, i.email, i.first_name, i.last_name,
               ARRAY(SELECT r.name FROM orgusers.invitation_roles ir JOIN orgusers.roles r ON r.org_id = ir.org_id AND r.id = ir.role_id
                     WHERE ir.org_id = i.org_id AND ir.invitation_id = i.id ORDER BY r.name),
               ARRAY(SELECT g.name FROM orgusers.invitation_groups ig JOIN orgusers.groups g ON g.org_id = ig.org_id AND g.id = ig.group_id
                     WHERE ig.org_id = i.org_id AND ig.invitation_id = i.id ORDER BY g.name),
               ARRAY(SELECT s.name FROM orgusers.invitation_spaces sp JOIN orgusers.spaces s ON s.org_id = sp.org_id AND s.id = sp.space_id
                     WHERE sp.org_id = i.org_id AND sp.invitation_id = i.id AND orgusers.can(s.org_id, s.id, 'spaces.view') ORDER BY s.name),
               orgusers.status_now(i), i.invited_by, i.created_at, i.expires_at
        FROM orgusers.invitations i
        WHERE i.org_id = list_invitations.org_id
          AND (before IS NULL OR i.id < before)
          AND (wanted IS NULL OR orgusers.status_now(i) = wanted)
        ORDER BY i.id DESC
        LIMIT least(greatest(coalesce(page, 100), 1), 1000);
END $$;
COMMENT ON FUNCTION orgusers.list_invitations(uuid, text, uuid, integer) IS 'Invitations of the organization, newest first: those whose status is wanted (pending, expired, accepted, declined, canceled; NULL: all), older than the one with the id before (NULL: from the newest), page rows at most (1 to 1000). spaces are those that the invitation itself assigns and the actor may see. Needs users.view. Raises what require() raises';

CREATE FUNCTION orgusers.my_invitations()
    RETURNS TABLE (org_id uuid, id uuid, organization text, invited_by text, roles text[], expires_at timestamptz)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT i.org_id, i.id, o.name, coalesce(inviter.display_name, inviter.email::text),
           ARRAY(SELECT r.name FROM orgusers.invitation_roles ir JOIN orgusers.roles r ON r.org_id = ir.org_id AND r.id = ir.role_id
                 WHERE ir.org_id = i.org_id AND ir.invitation_id = i.id ORDER BY r.name),
           i.expires_at
    FROM orgusers.users me
    JOIN orgusers.invitations i ON i.email = me.email AND i.status = 'pending'
    JOIN orgusers.organizations o ON o.id = i.org_id
    LEFT JOIN orgusers.users inviter ON inviter.id = i.invited_by
    WHERE me.id = orgusers.current_user_id() AND me.email_verified_at IS NOT NULL AND i.expires_at > clock_timestamp()
    ORDER BY i.id;
END;
COMMENT ON FUNCTION orgusers.my_invitations() IS 'Pending invitations for the actor''s address, from whatever organization, for accept_my_invitation() and decline_my_invitation(). None for an anonymous session or an address that is not verified';
