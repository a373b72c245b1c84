-- What the seats cost.  Everything is computed from the ledgers, so a statement of a month that is over comes out the same
-- whenever it is asked for.  The rules are in doc/billing.md.

CREATE FUNCTION orgusers.seat_periods(org_id uuid)
    RETURNS TABLE (user_id uuid, plan text, during tstzrange, begins boolean, ends boolean)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH had AS (
        SELECT p.plan, tstzrange(p.started_at, least(p.ended_at, lead(p.started_at) OVER (ORDER BY p.started_at, p.ended_at))) AS during
        FROM (SELECT l.plan, l.started_at, l.ended_at FROM orgusers.plan_ledger l WHERE l.org_id = seat_periods.org_id
              UNION ALL
              SELECT s.plan, s.since, NULL FROM orgusers.subscriptions s WHERE s.org_id = seat_periods.org_id) AS p
    ), stretches AS (
        -- A plan that was left and taken again in one transaction went on.
        SELECT had.plan, unnest(range_agg(had.during)) AS during FROM had GROUP BY had.plan
        UNION ALL
        SELECT NULL, unnest(tstzmultirange(tstzrange(NULL, NULL)) - coalesce((SELECT range_agg(had.during) FROM had), '{}'))
    ), seats AS (
        SELECT s.user_id, unnest(range_agg(s.during)) AS during
        FROM (SELECT l.user_id, tstzrange(l.started_at, l.ended_at) AS during FROM orgusers.seat_ledger l WHERE l.org_id = seat_periods.org_id
              UNION ALL
              SELECT m.user_id, tstzrange(m.seat_since, NULL) FROM orgusers.memberships m
              WHERE m.org_id = seat_periods.org_id AND m.status = 'active' AND m.holds_seat) AS s
        GROUP BY s.user_id
    )
    SELECT seats.user_id, stretches.plan, seats.during * stretches.during,
           lower(seats.during * stretches.during) = lower(seats.during),
           upper(seats.during * stretches.during) IS NOT DISTINCT FROM upper(seats.during)
    FROM seats JOIN stretches ON seats.during && stretches.during;
END;
COMMENT ON FUNCTION orgusers.seat_periods(uuid) IS 'When each user took a seat of the organization, cut where the plan changed (plan is NULL when there was none), without an upper bound for what goes on; begins and ends tell the user''s seat from the plan. Internal';

CREATE FUNCTION orgusers.billing_periods(billing_period text, time_zone text, since timestamptz, until timestamptz)
    RETURNS TABLE (starts_at timestamptz, ends_at timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    -- One more at either end: where clocks go back at midnight, a local time does not tell the side that it is on.
    SELECT local AT TIME ZONE time_zone, (local + ('1 ' || billing_period)::interval) AT TIME ZONE time_zone
    FROM generate_series(date_trunc(billing_period, since AT TIME ZONE time_zone) - ('1 ' || billing_period)::interval,
                         date_trunc(billing_period, until AT TIME ZONE time_zone) + ('1 ' || billing_period)::interval,
                         ('1 ' || billing_period)::interval) AS local;
END;
COMMENT ON FUNCTION orgusers.billing_periods(text, text, timestamptz, timestamptz) IS 'The calendar months or years of a time zone (billing_period: month, year) from one time to another, and maybe one before and behind. Internal';

CREATE FUNCTION orgusers.price_of_rest(price numeric, at timestamptz, starts_at timestamptz, ends_at timestamptz) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    -- in cents, by division of integers: exact
    RETURN div(200 * price * (extract(epoch FROM ends_at) - extract(epoch FROM at)) + (extract(epoch FROM ends_at) - extract(epoch FROM starts_at)),
               2 * (extract(epoch FROM ends_at) - extract(epoch FROM starts_at))) * 0.01;
COMMENT ON FUNCTION orgusers.price_of_rest(numeric, timestamptz, timestamptz, timestamptz) IS 'Price of a seat from a time to the end of its billing period: the period''s price by the part of its time that is left, rounded to the nearest cent, half a cent up. Every charge and credit is made of it. Internal';

CREATE FUNCTION orgusers.billing_lines(org_id uuid)
    RETURNS TABLE (kind text, user_id uuid, plan text, starts_at timestamptz, ends_at timestamptz, quantity numeric, price numeric,
                   amount numeric, currency text, usable_at timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH pieces AS (
        SELECT s.user_id, s.plan, p.seat_price, p.currency, s.begins, s.ends, lower(s.during) AS since,
               b.starts_at, b.ends_at, greatest(lower(s.during), b.starts_at) AS taken_at, upper(s.during) AS left_at
        FROM orgusers.seat_periods(billing_lines.org_id) s
        JOIN orgusers.plans p ON p.id = s.plan AND p.seat_price IS NOT NULL
        JOIN orgusers.organizations o ON o.id = billing_lines.org_id
        CROSS JOIN LATERAL orgusers.billing_periods(p.billing_period, o.time_zone, lower(s.during), coalesce(upper(s.during), now())) b
        WHERE s.during && tstzrange(b.starts_at, b.ends_at) AND greatest(lower(s.during), b.starts_at) <= now()
    )
    SELECT CASE WHEN c.taken_at = c.starts_at THEN 'seat' WHEN c.begins AND c.taken_at = c.since THEN 'activation' ELSE 'plan_change' END,
           c.user_id, c.plan, c.taken_at, c.ends_at,
           (extract(epoch FROM c.ends_at) - extract(epoch FROM c.taken_at)) / (extract(epoch FROM c.ends_at) - extract(epoch FROM c.starts_at)),
           c.seat_price, orgusers.price_of_rest(c.seat_price, c.taken_at, c.starts_at, c.ends_at), c.currency, NULL::timestamptz
    FROM pieces c
    UNION ALL
    SELECT CASE WHEN c.ends THEN 'deactivation' ELSE 'plan_end' END, c.user_id, c.plan, c.left_at, c.ends_at,
           (extract(epoch FROM c.ends_at) - extract(epoch FROM c.left_at)) / (extract(epoch FROM c.ends_at) - extract(epoch FROM c.starts_at)),
           c.seat_price, orgusers.price_of_rest(c.seat_price, c.left_at, c.starts_at, c.ends_at), c.currency,
           CASE WHEN c.ends THEN c.ends_at ELSE c.left_at END
    FROM pieces c WHERE c.left_at < c.ends_at;
END;
COMMENT ON FUNCTION orgusers.billing_lines(uuid) IS 'All charges (usable_at is NULL) and credits of the organization up to now, each from the time starts_at at which it is entered to the end of its billing period; usable_at says from when on a credit pays for charges. Internal';

CREATE FUNCTION orgusers.billing_statement_of(org_id uuid, period date)
    RETURNS TABLE (kind text, user_id uuid, email orgusers.email, plan text, starts_at timestamptz, ends_at timestamptz,
                   quantity numeric, price numeric, amount numeric, currency text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    zone   text := (SELECT o.time_zone FROM orgusers.organizations o WHERE o.id = billing_statement_of.org_id);
    months timestamptz[];
    this   int;
BEGIN
    IF zone IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'OU101', MESSAGE = 'no such organization';
    ELSIF period IS NULL OR NOT isfinite(period)
          OR period >= (date_trunc('month', now() AT TIME ZONE zone) + interval '1 month')::date THEN
        RAISE EXCEPTION USING ERRCODE = 'OU308', MESSAGE = 'no month that has begun has this day',
            HINT = 'Name any day of a month that has begun.';
    END IF;
    -- The starts of the months from before the first seat on to the one asked for, and its end.
    SELECT array_agg(local AT TIME ZONE zone ORDER BY local) INTO months
        FROM (SELECT min(lower(s.during)) AS at FROM orgusers.seat_periods(billing_statement_of.org_id) s) AS first,
             generate_series(date_trunc('month', first.at AT TIME ZONE zone) - interval '1 month',
                             date_trunc('month', greatest(period, '1900-01-01')::timestamp) + interval '1 month', '1 month') AS local;
    this := cardinality(months) - 1;
    IF coalesce(this, 0) < 1 THEN
        RETURN;
    END IF;

    RETURN QUERY
        WITH lines AS MATERIALIZED (
            SELECT l.*, width_bucket(l.starts_at, months) AS month, width_bucket(l.usable_at, months) AS usable_month
            FROM orgusers.billing_lines(billing_statement_of.org_id) l
        ), totals AS (
            -- What is due to the end of a month is the most that charges have ever exceeded the credits that were usable.
            SELECT t.currency, greatest(0.00, max(t.owed)) AS due_to, greatest(0.00, max(t.owed) FILTER (WHERE t.month < this)) AS due_before
            FROM (SELECT n.currency, n.month, sum(sum(n.amount)) OVER (PARTITION BY n.currency ORDER BY n.month) AS owed
                  FROM (SELECT l.currency, l.month, l.amount FROM lines l WHERE l.usable_at IS NULL
                        UNION ALL
                        SELECT l.currency, l.usable_month, -l.amount FROM lines l WHERE l.usable_at IS NOT NULL) AS n
                  WHERE n.month <= this
                  GROUP BY n.currency, n.month) AS t
            GROUP BY t.currency
        ), sums AS (
            SELECT l.currency,
                   coalesce(sum(l.amount) FILTER (WHERE l.usable_at IS NULL AND l.month = this), 0.00) AS charged,
                   coalesce(sum(l.amount) FILTER (WHERE l.usable_at IS NULL AND l.month < this), 0.00) AS charged_before,
                   coalesce(sum(l.amount) FILTER (WHERE l.usable_at IS NOT NULL AND l.month = this), 0.00) AS credited,
                   coalesce(sum(l.amount) FILTER (WHERE l.usable_at IS NOT NULL AND l.month < this), 0.00) AS credited_before,
                   bool_or(l.month = this) AS has_lines
            FROM lines l WHERE l.month <= this GROUP BY l.currency
        ), account AS (
            SELECT s.currency, s.credited_before - (s.charged_before - t.due_before) AS carried, s.charged, s.credited,
                   t.due_to - t.due_before AS due, s.has_lines
            FROM sums s JOIN totals t ON t.currency = s.currency
        ), entries (place, kind, user_id, plan, starts_at, ends_at, quantity, price, amount, currency) AS (
            SELECT CASE l.kind WHEN 'seat' THEN 2 WHEN 'plan_change' THEN 3 WHEN 'activation' THEN 4 WHEN 'plan_end' THEN 5 ELSE 6 END,
                   l.kind, l.user_id, l.plan, l.starts_at, l.ends_at, round(l.quantity, 12), l.price, l.amount, l.currency
            FROM lines l WHERE l.month = this
            UNION ALL
            SELECT v.place, v.kind, NULL, NULL, months[this], months[this + 1], NULL, NULL, v.amount, a.currency
            FROM account a,
                 LATERAL (VALUES (1, 'carried', a.carried), (7, 'used', a.due - a.charged), (8, 'due', a.due),
                                 (9, 'carry', a.carried + a.credited + a.due - a.charged)) AS v (place, kind, amount)
            WHERE (a.has_lines OR a.carried > 0) AND (v.kind = 'due' OR v.amount <> 0)
        )
        SELECT e.kind, e.user_id, u.email, e.plan, e.starts_at, e.ends_at, e.quantity, e.price, e.amount, e.currency
        FROM entries e LEFT JOIN orgusers.users u ON u.id = e.user_id
        ORDER BY e.currency, e.place, e.starts_at, u.email, e.user_id;
END $$;
COMMENT ON FUNCTION orgusers.billing_statement_of(uuid, date) IS 'The billing statement of the calendar month, in the organization''s time zone, that has this day; of a running month, so far. Rows by currency and kind. Charges: seat (taken when the billing period began), plan_change (the plan began within it), activation (the seat began within it). Credits for the rest of a billing period: plan_end (pays for charges from then on), deactivation (from the next billing period on). Totals: carried (credit left from before), used (of it and plan_end, at most the charges; negative), due (charges and used), carry (carried, credits and used: what is left). quantity is the part of the billing period, price that of the whole one; email is NULL for a user who is gone. No rows when there is nothing. For the trusted server, such as an invoicing system. OU101 no such organization, OU308 a month that has not begun';

CREATE FUNCTION orgusers.billing_statement(org_id uuid, period date)
    RETURNS TABLE (kind text, user_id uuid, email orgusers.email, plan text, starts_at timestamptz, ends_at timestamptz,
                   quantity numeric, price numeric, amount numeric, currency text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM orgusers.require(billing_statement.org_id, 'billing.statement');
    RETURN QUERY SELECT * FROM orgusers.billing_statement_of(billing_statement.org_id, billing_statement.period);
END $$;
COMMENT ON FUNCTION orgusers.billing_statement(uuid, date) IS 'As billing_statement_of(), for users. Needs billing.statement. OU308 a month that has not begun, and what require() raises';

CREATE FUNCTION orgusers.seat_usage_of(org_id uuid, since timestamptz, until timestamptz)
    RETURNS TABLE (user_id uuid, email orgusers.email, plan text, started_at timestamptz, ended_at timestamptz, seconds numeric)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM orgusers.organizations o WHERE o.id = seat_usage_of.org_id) THEN
        RAISE EXCEPTION USING ERRCODE = 'OU101', MESSAGE = 'no such organization';
    ELSIF (isfinite(since) AND isfinite(until) AND since < until) IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = 'OU308', MESSAGE = 'this is no range of time',
            HINT = 'It goes from a time to a later one.';
    ELSIF since >= now() THEN
        RETURN;
    END IF;
    RETURN QUERY
        SELECT x.user_id, u.email, x.plan, lower(x.during), upper(x.during), extract(epoch FROM upper(x.during)) - extract(epoch FROM lower(x.during))
        FROM (SELECT s.user_id, s.plan, s.during * tstzrange(seat_usage_of.since, least(until, now())) AS during
              FROM orgusers.seat_periods(seat_usage_of.org_id) s) AS x
        LEFT JOIN orgusers.users u ON u.id = x.user_id
        WHERE NOT isempty(x.during)
        ORDER BY 4, u.email, x.user_id;
END $$;
COMMENT ON FUNCTION orgusers.seat_usage_of(uuid, timestamptz, timestamptz) IS 'Who took a seat of the organization, on which plan (NULL: none), from when to when, within a range of time; what goes on is counted up to now. Breaks within a transaction leave no trace. email is NULL for a user who is gone; seconds have six decimals. For the trusted server, such as an invoicing system. OU101 no such organization, OU308 no such range';

CREATE FUNCTION orgusers.seat_usage(org_id uuid, since timestamptz, until timestamptz)
    RETURNS TABLE (user_id uuid, email orgusers.email, plan text, started_at timestamptz, ended_at timestamptz, seconds numeric)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM orgusers.require(seat_usage.org_id, 'billing.statement');
    RETURN QUERY SELECT * FROM orgusers.seat_usage_of(seat_usage.org_id, seat_usage.since, seat_usage.until);
END $$;
COMMENT ON FUNCTION orgusers.seat_usage(uuid, timestamptz, timestamptz) IS 'As seat_usage_of(), for users. Needs billing.statement. OU308 no such range, and what require() raises';
