-- The time for which seats were taken and plans were had.
--
-- What goes on is in the row itself (memberships.seat_since, subscriptions.since); what is over is in the ledgers,
-- written when it ends.  So nothing is written on INSERT, and a restore changes nothing.
--
-- Time is the transaction's: what one transaction does happens at one moment, the one that joined_at and
-- deactivated_at have too.  Who replaces a user in a transaction leaves no gap, and who deactivates and reactivates in one
-- has changed nothing.  A transaction that waited for another can have begun before it; greatest() keeps the times
-- of a row in the order of its changes.  Where a removal and a return overlap nevertheless, seat_periods() counts
-- the time once.

CREATE TABLE orgusers.seat_ledger (
    org_id     uuid NOT NULL REFERENCES orgusers.organizations ON DELETE CASCADE,
    user_id    uuid NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at   timestamptz NOT NULL,
    PRIMARY KEY (org_id, user_id, started_at),
    CHECK (started_at < ended_at AND isfinite(started_at) AND isfinite(ended_at))
);
COMMENT ON TABLE orgusers.seat_ledger IS 'Periods, now over, in which a user took a seat of an organization: from started_at to just before ended_at. What goes on is in memberships';
COMMENT ON COLUMN orgusers.seat_ledger.user_id IS 'No foreign key: the user may be gone, the seat''s time is billed all the same';
SELECT pg_extension_config_dump('orgusers.seat_ledger', '');

CREATE TABLE orgusers.plan_ledger (
    org_id     uuid NOT NULL REFERENCES orgusers.organizations ON DELETE CASCADE,
    started_at timestamptz NOT NULL,
    ended_at   timestamptz NOT NULL,
    plan       text NOT NULL REFERENCES orgusers.plans ON UPDATE CASCADE,
    PRIMARY KEY (org_id, started_at),
    CHECK (started_at < ended_at AND isfinite(started_at) AND isfinite(ended_at))
);
CREATE INDEX plan_ledger_plan_idx ON orgusers.plan_ledger (plan);
COMMENT ON TABLE orgusers.plan_ledger IS 'Periods, now over, in which an organization had a plan: from started_at to just before ended_at. The plan it has now is in subscriptions';
SELECT pg_extension_config_dump('orgusers.plan_ledger', '');

CREATE FUNCTION orgusers.set_seat_since() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.seat_since := greatest(now(), OLD.seat_since);
    RETURN NEW;
END $$;
COMMENT ON FUNCTION orgusers.set_seat_since() IS 'Trigger: a seat is taken or ended now, unless the statement says when';
CREATE TRIGGER seat_since BEFORE UPDATE ON orgusers.memberships FOR EACH ROW
    WHEN ((OLD.org_id, OLD.user_id, OLD.status = 'active' AND OLD.holds_seat)
              IS DISTINCT FROM (NEW.org_id, NEW.user_id, NEW.status = 'active' AND NEW.holds_seat)
          AND NEW.seat_since = OLD.seat_since)
    EXECUTE FUNCTION orgusers.set_seat_since();
COMMENT ON TRIGGER seat_since ON orgusers.memberships IS 'A seat is taken or ended now, unless the statement says when';

CREATE FUNCTION orgusers.enter_seat() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    until timestamptz := CASE TG_OP WHEN 'DELETE' THEN greatest(now(), OLD.seat_since) ELSE NEW.seat_since END;
BEGIN
    -- An organization that is being deleted takes its ledger with it.
    INSERT INTO orgusers.seat_ledger (org_id, user_id, started_at, ended_at)
        SELECT o.id, OLD.user_id, OLD.seat_since, until FROM orgusers.organizations o
        WHERE o.id = OLD.org_id AND OLD.seat_since < until
        ON CONFLICT ON CONSTRAINT seat_ledger_pkey DO UPDATE SET ended_at = greatest(seat_ledger.ended_at, excluded.ended_at);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION orgusers.enter_seat() IS 'Trigger: the time of a seat that has ended goes into seat_ledger';
CREATE TRIGGER seat_ended AFTER UPDATE ON orgusers.memberships FOR EACH ROW
    WHEN (OLD.status = 'active' AND OLD.holds_seat
          AND (OLD.org_id, OLD.user_id, true) IS DISTINCT FROM (NEW.org_id, NEW.user_id, NEW.status = 'active' AND NEW.holds_seat))
    EXECUTE FUNCTION orgusers.enter_seat();
COMMENT ON TRIGGER seat_ended ON orgusers.memberships IS 'The time of a seat that has ended goes into seat_ledger';
CREATE TRIGGER seat_removed AFTER DELETE ON orgusers.memberships FOR EACH ROW
    WHEN (OLD.status = 'active' AND OLD.holds_seat) EXECUTE FUNCTION orgusers.enter_seat();
COMMENT ON TRIGGER seat_removed ON orgusers.memberships IS 'The time of a seat that has ended goes into seat_ledger';

CREATE FUNCTION orgusers.set_plan_since() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- A plan that is renamed goes on.
    IF EXISTS (SELECT FROM orgusers.plans p WHERE p.id = OLD.plan) THEN
        NEW.since := greatest(now(), OLD.since);
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION orgusers.set_plan_since() IS 'Trigger: another plan begins now, unless the statement says when';
CREATE TRIGGER plan_since BEFORE UPDATE ON orgusers.subscriptions FOR EACH ROW
    WHEN ((OLD.org_id, OLD.plan) IS DISTINCT FROM (NEW.org_id, NEW.plan) AND NEW.since = OLD.since)
    EXECUTE FUNCTION orgusers.set_plan_since();
COMMENT ON TRIGGER plan_since ON orgusers.subscriptions IS 'Another plan begins now, unless the statement says when';

CREATE FUNCTION orgusers.enter_plan() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    until timestamptz := CASE TG_OP WHEN 'DELETE' THEN greatest(now(), OLD.since) ELSE NEW.since END;
BEGIN
    INSERT INTO orgusers.plan_ledger (org_id, started_at, ended_at, plan)
        SELECT o.id, OLD.since, until, OLD.plan FROM orgusers.organizations o
        WHERE o.id = OLD.org_id AND OLD.since < until
        ON CONFLICT ON CONSTRAINT plan_ledger_pkey DO UPDATE SET ended_at = excluded.ended_at, plan = excluded.plan;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION orgusers.enter_plan() IS 'Trigger: the time of a plan that has ended goes into plan_ledger';
CREATE TRIGGER plan_ended AFTER UPDATE ON orgusers.subscriptions FOR EACH ROW
    WHEN ((OLD.org_id, OLD.plan) IS DISTINCT FROM (NEW.org_id, NEW.plan)) EXECUTE FUNCTION orgusers.enter_plan();
COMMENT ON TRIGGER plan_ended ON orgusers.subscriptions IS 'The time of a plan that has ended goes into plan_ledger';
CREATE TRIGGER plan_removed AFTER DELETE ON orgusers.subscriptions FOR EACH ROW EXECUTE FUNCTION orgusers.enter_plan();
COMMENT ON TRIGGER plan_removed ON orgusers.subscriptions IS 'The time of a plan that has ended goes into plan_ledger';

-- What was invoiced does not change afterwards.
CREATE FUNCTION orgusers.keep_price() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- An old snapshot would miss organizations that came to the plan meanwhile.
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION USING ERRCODE = 'OU009', MESSAGE = 'a plan''s price can change at READ COMMITTED only',
            HINT = 'SET TRANSACTION ISOLATION LEVEL READ COMMITTED.';
    END IF;
    IF EXISTS (SELECT FROM orgusers.subscriptions s WHERE s.plan = OLD.id) OR EXISTS (SELECT FROM orgusers.plan_ledger l WHERE l.plan = OLD.id) THEN
        RAISE EXCEPTION USING ERRCODE = 'OU009', TABLE = TG_TABLE_NAME, SCHEMA = TG_TABLE_SCHEMA,
            MESSAGE = format('the price of the plan %s cannot change: organizations have had it', OLD.title),
            HINT = 'Make a new plan at the new price and move organizations to it, with set_plan().';
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION orgusers.keep_price() IS 'Trigger: the price of a plan stays as it is once an organization has had the plan (OU009)';
CREATE TRIGGER price BEFORE UPDATE ON orgusers.plans FOR EACH ROW
    WHEN ((OLD.seat_price, OLD.currency, OLD.billing_period) IS DISTINCT FROM (NEW.seat_price, NEW.currency, NEW.billing_period))
    EXECUTE FUNCTION orgusers.keep_price();
COMMENT ON TRIGGER price ON orgusers.plans IS 'The price of a plan that organizations have had stays as it is';
