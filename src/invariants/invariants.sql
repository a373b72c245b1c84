-- What must always hold, for every path that writes.  Foreign keys, checks and unique indexes stand with their
-- tables; here is what those cannot say.

CREATE FUNCTION orgusers.lock_organization(org_id uuid) RETURNS boolean
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'orgusers_lock_organization';
COMMENT ON FUNCTION orgusers.lock_organization(uuid) IS 'Takes, until the end of the transaction, the lock that guards an organization''s seats, role holders, billing admin and plan: updates its epoch, once a transaction, and before it that of its tree''s root where the policy has unique_in_tree. Whoever changes those calls it first and then reads with a new command. Returns whether the organization exists. A serialization failure (40001) at REPEATABLE READ and above means that it has changed meanwhile. Internal';

CREATE FUNCTION orgusers.seats_check() RETURNS trigger
    LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'orgusers_seats_check';
COMMENT ON FUNCTION orgusers.seats_check() IS 'Constraint trigger: no more users of an organization take a seat than its plan has (OU301)';

CREATE FUNCTION orgusers.holders_check() RETURNS trigger
    LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'orgusers_holders_check';
COMMENT ON FUNCTION orgusers.holders_check() IS 'Constraint trigger: a role keeps its template''s least and most active holders (OU303, OU304)';

CREATE FUNCTION orgusers.billing_admin_check() RETURNS trigger
    LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'orgusers_billing_admin_check';
COMMENT ON FUNCTION orgusers.billing_admin_check() IS 'Constraint trigger: the billing admin is an active user of the organization (OU302)';

CREATE FUNCTION orgusers.spaces_check() RETURNS trigger
    LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'orgusers_spaces_check';
COMMENT ON FUNCTION orgusers.spaces_check() IS 'Constraint trigger: no holder of a role has more spaces assigned than its template''s most (OU306). The argument is the column that says whose spaces a row is about';

CREATE FUNCTION orgusers.member_in_tree_check() RETURNS trigger
    LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'orgusers_member_in_tree_check';
COMMENT ON FUNCTION orgusers.member_in_tree_check() IS 'Constraint trigger: under a policy with unique_in_tree a user''s address is used nowhere else in the tree (OU307)';

CREATE FUNCTION orgusers.invitation_in_tree_check() RETURNS trigger
    LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'orgusers_invitation_in_tree_check';
COMMENT ON FUNCTION orgusers.invitation_in_tree_check() IS 'Constraint trigger: under a policy with unique_in_tree an invited address is used nowhere else in the tree (OU307)';

CREATE FUNCTION orgusers.email_in_tree_check() RETURNS trigger
    LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'orgusers_email_in_tree_check';
COMMENT ON FUNCTION orgusers.email_in_tree_check() IS 'Constraint trigger: an address that a user takes on is not invited elsewhere in a tree with unique_in_tree that the user is in (OU307)';

CREATE FUNCTION orgusers.truncate_check() RETURNS trigger
    LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'orgusers_truncate_check';
COMMENT ON FUNCTION orgusers.truncate_check() IS 'TRUNCATE trigger: not while there are organizations (OU305)';

-- Conditions compare rows: a list of columns (UPDATE OF) would miss what another trigger changes.

-- At the end of the statement: a refusal belongs to the call that asked for too much.
CREATE CONSTRAINT TRIGGER seats AFTER INSERT ON orgusers.memberships
    DEFERRABLE FOR EACH ROW WHEN (NEW.status = 'active' AND NEW.holds_seat) EXECUTE FUNCTION orgusers.seats_check();
COMMENT ON TRIGGER seats ON orgusers.memberships IS 'No more users take a seat than the plan has';
CREATE CONSTRAINT TRIGGER seats_update AFTER UPDATE ON orgusers.memberships
    DEFERRABLE FOR EACH ROW
    WHEN (NEW.status = 'active' AND NEW.holds_seat
          AND (OLD.org_id, OLD.status, OLD.holds_seat) IS DISTINCT FROM (NEW.org_id, NEW.status, NEW.holds_seat))
    EXECUTE FUNCTION orgusers.seats_check();
COMMENT ON TRIGGER seats_update ON orgusers.memberships IS 'No more users take a seat than the plan has';
CREATE CONSTRAINT TRIGGER seats AFTER INSERT ON orgusers.subscriptions
    DEFERRABLE FOR EACH ROW EXECUTE FUNCTION orgusers.seats_check();
COMMENT ON TRIGGER seats ON orgusers.subscriptions IS 'No more users take a seat than the plan has';
CREATE CONSTRAINT TRIGGER seats_update AFTER UPDATE ON orgusers.subscriptions
    DEFERRABLE FOR EACH ROW WHEN ((OLD.org_id, OLD.plan) IS DISTINCT FROM (NEW.org_id, NEW.plan))
    EXECUTE FUNCTION orgusers.seats_check();
COMMENT ON TRIGGER seats_update ON orgusers.subscriptions IS 'No more users take a seat than the plan has';

-- Whatever gives a space, or a role that limits them.
CREATE CONSTRAINT TRIGGER most_spaces AFTER INSERT OR UPDATE ON orgusers.space_members
    DEFERRABLE FOR EACH ROW EXECUTE FUNCTION orgusers.spaces_check('user_id');
COMMENT ON TRIGGER most_spaces ON orgusers.space_members IS 'No holder of a role has more spaces than its template''s most';
CREATE CONSTRAINT TRIGGER most_spaces AFTER INSERT OR UPDATE ON orgusers.space_groups
    DEFERRABLE FOR EACH ROW EXECUTE FUNCTION orgusers.spaces_check('group_id');
COMMENT ON TRIGGER most_spaces ON orgusers.space_groups IS 'No holder of a role has more spaces than its template''s most';
CREATE CONSTRAINT TRIGGER most_spaces AFTER INSERT OR UPDATE ON orgusers.group_members
    DEFERRABLE FOR EACH ROW EXECUTE FUNCTION orgusers.spaces_check('user_id');
COMMENT ON TRIGGER most_spaces ON orgusers.group_members IS 'No holder of a role has more spaces than its template''s most';
CREATE CONSTRAINT TRIGGER most_spaces AFTER INSERT OR UPDATE ON orgusers.group_roles
    DEFERRABLE FOR EACH ROW EXECUTE FUNCTION orgusers.spaces_check('group_id');
COMMENT ON TRIGGER most_spaces ON orgusers.group_roles IS 'No holder of a role has more spaces than its template''s most';
CREATE CONSTRAINT TRIGGER most_spaces AFTER INSERT OR UPDATE ON orgusers.membership_roles
    DEFERRABLE FOR EACH ROW EXECUTE FUNCTION orgusers.spaces_check('user_id');
COMMENT ON TRIGGER most_spaces ON orgusers.membership_roles IS 'No holder of a role has more spaces than its template''s most';
CREATE CONSTRAINT TRIGGER most_spaces AFTER UPDATE ON orgusers.roles
    DEFERRABLE FOR EACH ROW WHEN ((OLD.org_id, OLD.policy, OLD.template) IS DISTINCT FROM (NEW.org_id, NEW.policy, NEW.template))
    EXECUTE FUNCTION orgusers.spaces_check('id');
COMMENT ON TRIGGER most_spaces ON orgusers.roles IS 'No holder of a role has more spaces than its template''s most';

-- At the end of the statement, too.
CREATE CONSTRAINT TRIGGER address_in_tree AFTER INSERT ON orgusers.memberships
    DEFERRABLE FOR EACH ROW EXECUTE FUNCTION orgusers.member_in_tree_check();
COMMENT ON TRIGGER address_in_tree ON orgusers.memberships IS 'An address is used once in a tree, where the policy says so';
CREATE CONSTRAINT TRIGGER address_in_tree_update AFTER UPDATE ON orgusers.memberships
    DEFERRABLE FOR EACH ROW WHEN ((OLD.org_id, OLD.user_id) IS DISTINCT FROM (NEW.org_id, NEW.user_id))
    EXECUTE FUNCTION orgusers.member_in_tree_check();
COMMENT ON TRIGGER address_in_tree_update ON orgusers.memberships IS 'An address is used once in a tree, where the policy says so';
CREATE CONSTRAINT TRIGGER address_in_tree AFTER INSERT ON orgusers.invitations
    DEFERRABLE FOR EACH ROW WHEN (NEW.status = 'pending') EXECUTE FUNCTION orgusers.invitation_in_tree_check();
COMMENT ON TRIGGER address_in_tree ON orgusers.invitations IS 'An address is used once in a tree, where the policy says so';
CREATE CONSTRAINT TRIGGER address_in_tree_update AFTER UPDATE ON orgusers.invitations
    DEFERRABLE FOR EACH ROW
    WHEN (NEW.status = 'pending' AND (OLD.org_id, OLD.email, OLD.status, OLD.expires_at) IS DISTINCT FROM (NEW.org_id, NEW.email, NEW.status, NEW.expires_at))
    EXECUTE FUNCTION orgusers.invitation_in_tree_check();
COMMENT ON TRIGGER address_in_tree_update ON orgusers.invitations IS 'An address is used once in a tree, where the policy says so';
CREATE CONSTRAINT TRIGGER address_in_tree AFTER UPDATE ON orgusers.users
    DEFERRABLE FOR EACH ROW WHEN (OLD.email IS DISTINCT FROM NEW.email) EXECUTE FUNCTION orgusers.email_in_tree_check();
COMMENT ON TRIGGER address_in_tree ON orgusers.users IS 'An address is used once in a tree, where the policy says so';

-- At commit: handing over takes two steps, in either order.
CREATE CONSTRAINT TRIGGER holders AFTER INSERT OR UPDATE OR DELETE ON orgusers.membership_roles
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION orgusers.holders_check();
COMMENT ON TRIGGER holders ON orgusers.membership_roles IS 'Roles keep their least and most holders';
CREATE CONSTRAINT TRIGGER holders AFTER UPDATE ON orgusers.memberships
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN ((OLD.org_id, OLD.user_id, OLD.status) IS DISTINCT FROM (NEW.org_id, NEW.user_id, NEW.status))
    EXECUTE FUNCTION orgusers.holders_check();
COMMENT ON TRIGGER holders ON orgusers.memberships IS 'Roles keep their least and most holders';
CREATE CONSTRAINT TRIGGER holders AFTER UPDATE OR DELETE ON orgusers.roles
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION orgusers.holders_check();
COMMENT ON TRIGGER holders ON orgusers.roles IS 'Roles keep their least and most holders';

CREATE CONSTRAINT TRIGGER billing_admin AFTER UPDATE ON orgusers.memberships
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.status <> 'active') EXECUTE FUNCTION orgusers.billing_admin_check();
COMMENT ON TRIGGER billing_admin ON orgusers.memberships IS 'The billing admin is an active user';
CREATE CONSTRAINT TRIGGER billing_admin AFTER INSERT OR UPDATE ON orgusers.subscriptions
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.paid) EXECUTE FUNCTION orgusers.billing_admin_check();
COMMENT ON TRIGGER billing_admin ON orgusers.subscriptions IS 'The billing admin is an active user';

CREATE TRIGGER truncate_check AFTER TRUNCATE ON orgusers.memberships FOR EACH STATEMENT EXECUTE FUNCTION orgusers.truncate_check();
COMMENT ON TRIGGER truncate_check ON orgusers.memberships IS 'Emptied only together with the organizations';
CREATE TRIGGER truncate_check AFTER TRUNCATE ON orgusers.membership_roles FOR EACH STATEMENT EXECUTE FUNCTION orgusers.truncate_check();
COMMENT ON TRIGGER truncate_check ON orgusers.membership_roles IS 'Emptied only together with the organizations';
CREATE TRIGGER truncate_check AFTER TRUNCATE ON orgusers.roles FOR EACH STATEMENT EXECUTE FUNCTION orgusers.truncate_check();
COMMENT ON TRIGGER truncate_check ON orgusers.roles IS 'Emptied only together with the organizations';
CREATE TRIGGER truncate_check AFTER TRUNCATE ON orgusers.subscriptions FOR EACH STATEMENT EXECUTE FUNCTION orgusers.truncate_check();
COMMENT ON TRIGGER truncate_check ON orgusers.subscriptions IS 'Emptied only together with the organizations';

-- A plan's seats bind the organizations that have it.  The share lock that seats_check takes on the plan of an
-- organization that comes to it, and the update of every epoch here, leave no gap between the two.
CREATE FUNCTION orgusers.plan_seats_check() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    org uuid;
    used bigint;
BEGIN
    -- An old snapshot would miss organizations that came to the plan meanwhile.
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION USING ERRCODE = 'OU009', MESSAGE = 'a plan''s seats can be lowered at READ COMMITTED only',
            HINT = 'SET TRANSACTION ISOLATION LEVEL READ COMMITTED.';
    END IF;
    FOR org IN SELECT s.org_id FROM orgusers.subscriptions s JOIN orgusers.organizations o ON o.id = s.org_id
               WHERE s.plan = NEW.id ORDER BY o.root_id, o.id LOOP
        PERFORM orgusers.lock_organization(org);
        SELECT count(*) INTO used FROM orgusers.memberships m WHERE m.org_id = org AND m.status = 'active' AND m.holds_seat;
        IF used > NEW.seats THEN
            RAISE EXCEPTION USING ERRCODE = 'OU301', TABLE = TG_TABLE_NAME, SCHEMA = TG_TABLE_SCHEMA, CONSTRAINT = TG_NAME,
                MESSAGE = format('the plan %s cannot have fewer seats than its organizations use', NEW.title),
                DETAIL = format('In organization %s %s users take a seat.', org, used),
                HINT = 'Make a new plan with fewer seats and move organizations to it.';
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION orgusers.plan_seats_check() IS 'Trigger: a plan keeps the seats that its organizations use (OU301); lowering needs READ COMMITTED (OU009)';
CREATE TRIGGER seats AFTER UPDATE ON orgusers.plans
    FOR EACH ROW WHEN (NEW.seats < coalesce(OLD.seats, 2147483647)) EXECUTE FUNCTION orgusers.plan_seats_check();
COMMENT ON TRIGGER seats ON orgusers.plans IS 'A plan keeps the seats that its organizations use';

CREATE FUNCTION orgusers.check_now() RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'orgusers_check_now';
COMMENT ON FUNCTION orgusers.check_now() IS 'Runs the checks that wait for the commit, so that a call which must be refused is refused in the call. What the transaction has set with SET CONSTRAINTS for checks that wait is as by default afterwards. Internal';
