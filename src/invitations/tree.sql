-- Where an address is used once in the tree of an account and its sub-accounts (unique_in_tree).  What holds for every
-- path is in src/invariants/address_in_tree.c; here is what says so to who invites.

CREATE FUNCTION orgusers.tree_refusal(org_id uuid, email orgusers.email) RETURNS text[]
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    root     uuid;
    declined boolean;
BEGIN
    SELECT o.root_id, p.declined_blocks INTO root, declined FROM orgusers.organizations o JOIN orgusers.policies p ON p.id = o.policy
        WHERE o.id = tree_refusal.org_id AND p.unique_in_tree;
    IF NOT FOUND THEN
        RETURN NULL;
    ELSIF declined AND EXISTS (SELECT FROM orgusers.invitations i JOIN orgusers.organizations t ON t.id = i.org_id
                               WHERE i.email = tree_refusal.email AND i.status = 'declined' AND t.root_id = root AND t.id <> tree_refusal.org_id) THEN
        RETURN ARRAY['OU208', 'this address has declined an invitation in the account or a sub-account',
                     'Remove that invitation first, with remove_invitation().'];
    ELSIF EXISTS (SELECT FROM orgusers.users u JOIN orgusers.memberships m ON m.user_id = u.id JOIN orgusers.organizations t ON t.id = m.org_id
                  WHERE u.email = tree_refusal.email AND t.root_id = root AND t.id <> tree_refusal.org_id)
          OR EXISTS (SELECT FROM orgusers.invitations i JOIN orgusers.organizations t ON t.id = i.org_id
                     WHERE i.email = tree_refusal.email AND i.status = 'pending' AND i.expires_at > clock_timestamp()
                       AND t.root_id = root AND t.id <> tree_refusal.org_id) THEN
        RETURN ARRAY['OU307', 'the address is used elsewhere in the account and its sub-accounts',
                     'It is a user''s or in a pending invitation there; remove the user or cancel the invitation first.'];
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION orgusers.tree_refusal(uuid, orgusers.email) IS 'Why an address cannot be invited to an organization for what is elsewhere in its tree (SQLSTATE, message, hint): OU208 a declined invitation there blocks it, OU307 it is used there; NULL when nothing is in the way. Asked behind the organization''s lock. Internal';

CREATE FUNCTION orgusers.refuse_in_tree(org_id uuid, email orgusers.email) RETURNS void
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    refusal text[] := orgusers.tree_refusal(org_id, email);
BEGIN
    IF refusal IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = refusal[1], MESSAGE = refusal[2], HINT = refusal[3];
    END IF;
END $$;
COMMENT ON FUNCTION orgusers.refuse_in_tree(uuid, orgusers.email) IS 'Raises what tree_refusal() says. Internal';
