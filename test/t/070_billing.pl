# Random histories of seats and plans: what the statements charge and credit is the seat time used, to the cent.
#
# The histories are written through the triggers with times of their own.  Here they are replayed by a plain
# bookkeeper, who goes from event to event and from month to month; the statements are made by other means, from the
# ledgers.  The histories follow from the seed alone: ORGUSERS_SEED=n repeats them.

use strict;
use warnings;
use integer;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{ORGUSERS_SEED} || time;
srand($seed);
diag("seed $seed");

# Clocks that go back or forward at midnight, on the first of a month too, by half an hour, or in the month of Ramadan.
my @zones = qw(UTC America/New_York America/Havana America/Asuncion Asia/Beirut Asia/Kathmandu Australia/Lord_Howe Pacific/Apia Africa/Casablanca Europe/Vienna);
my %plan = (
	team   => { price => 999,   currency => 'USD', months => 1 },
	large  => { price => 2500,  currency => 'USD', months => 1 },
	yearly => { price => 9999,  currency => 'USD', months => 12 },
	euro   => { price => 777,   currency => 'EUR', months => 1 },
	penny  => { price => 1,     currency => 'EUR', months => 12 },
	none   => {});
my $months = 72;                # from July 2019 on; a first year of which not all is known is not used
my @users = map { sprintf('00000000-0000-0000-0000-0000000000%02x', $_) } 0 .. 9;

my $node = PostgreSQL::Test::Cluster->new('billing');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nTimeZone = 'UTC'");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION orgusers; SELECT orgusers.install_plans_and_groups(); SELECT orgusers.add_mailer_key(\'2Dl7oW4h0VTqD8VdH6GC0Xe0gS0K3mDOUQm8o5mS0Eg=\');'
	  . join '', map { "SELECT orgusers.register_user('$_\@example.org', id => '$_');" } @users);
$node->safe_psql('postgres', join '', map {
		$plan{$_}{price} ? sprintf("INSERT INTO orgusers.plans (id, title, paid, seat_price, currency, billing_period) VALUES ('%s', '%s', true, %d.%02d, '%s', '%s');",
			$_, $_, $plan{$_}{price} / 100, $plan{$_}{price} % 100, $plan{$_}{currency}, $plan{$_}{months} == 12 ? 'year' : 'month')
		  : "INSERT INTO orgusers.plans (id, title, paid) VALUES ('$_', '$_', true);" } sort keys %plan);

# Times are microseconds since 1970.
sub sql_time { return sprintf("'epoch'::timestamptz + interval '%d seconds %d microseconds'", $_[0] / 1_000_000, $_[0] % 1_000_000) }
sub any { return $_[ int(rand(@_)) ] }

# The price of a seat from a time on to the end of its billing period, in cents.
sub rest
{
	my ($plan, $at, $start, $end) = @_;
	return (2 * $plan->{price} * ($end - $at) + ($end - $start)) / (2 * ($end - $start));
}

# Number of the month that a time is in: the last that starts at or before it.
sub month_of
{
	my ($starts, $at) = @_;
	my $month = 0;
	$month++ while $month < $#$starts && $starts->[ $month + 1 ] <= $at;
	return $month;
}

# The first and the next month of the billing period that a month is in.  Months begin with July.
sub period_of
{
	my ($plan, $month) = @_;
	my $first = $month - ($plan->{months} == 12 ? ($month + 6) % 12 : 0);
	return ($first, $first + $plan->{months});
}

# Makes a history: times, in order, with what happens then.  Users are reckoned with as they are afterwards.
sub history
{
	my ($starts) = @_;
	my @times = map {
		my $near = any(@{$starts}[ 7 .. 50 ]);
		any($near, $near - 1, $near + 1, $near + any(-1, 1) * int(rand(7200)) * 1_000_000, map { $near + int(rand(31 * 86400 * 1_000_000)) } 1 .. 4)
	} 1 .. 120;
	my %seen;
	@times = sort { $a <=> $b } grep { !$seen{$_}++ } @times;
	my %state = ($users[0] => 'seat');
	my @events = ({ at => shift @times, plan => any(qw(team large yearly euro none)), seats => { $users[0] => 1 }, sql => [] });
	my $plan = $events[0]{plan};
	for my $at (@times)
	{
		my $user = any(@users[ 1 .. $#users ]);
		my $was = $state{$user} || 'absent';
		my $row = "WHERE org_id = :'org' AND user_id = '$user'";
		my $time = sql_time($at);
		my @sql;
		if (rand() < 0.12)
		{
			$plan = any(grep { $_ ne $plan } sort keys %plan);
			@sql = ("UPDATE orgusers.subscriptions SET plan = '$plan', since = $time WHERE org_id = :'org'");
		}
		elsif ($was eq 'absent')
		{
			$state{$user} = any('seat', 'seat', 'guest');
			@sql = ("INSERT INTO orgusers.memberships (org_id, user_id, holds_seat, seat_since) VALUES (:'org', '$user', "
				  . ($state{$user} eq 'seat' ? 'true' : 'false') . ", $time)");
		}
		elsif ($was eq 'seat')
		{
			$state{$user} = any(qw(idle idle guest absent));
			@sql = ("UPDATE orgusers.memberships SET "
				  . ($state{$user} eq 'guest' ? 'holds_seat = false' : "status = 'deactivated', deactivated_at = $time") . ", seat_since = $time $row");
		}
		elsif ($was eq 'idle')
		{
			$state{$user} = any(qw(seat seat seat guest absent));
			@sql = ("UPDATE orgusers.memberships SET status = 'active', deactivated_at = NULL, seat_since = $time"
				  . ($state{$user} eq 'guest' ? ', holds_seat = false' : '') . " $row") if $state{$user} ne 'absent';
		}
		else
		{
			$state{$user} = any(qw(seat seat absent));
			@sql = ("UPDATE orgusers.memberships SET holds_seat = true, seat_since = $time $row") if $state{$user} eq 'seat';
		}
		push @sql, "DELETE FROM orgusers.memberships $row" if $state{$user} eq 'absent';
		push @events, { at => $at, plan => $plan, seats => { map { $_ => 1 } grep { $state{$_} eq 'seat' } keys %state }, sql => \@sql };
	}
	# All seats end to be billed.
	push @events, { at => $starts->[54] + 12345, plan => 'none', seats => $events[-1]{seats},
		sql => [ "UPDATE orgusers.subscriptions SET plan = 'none', since = " . sql_time($starts->[54] + 12345) . " WHERE org_id = :'org' AND plan <> 'none'" ] };
	return @events;
}

# Keeps the books of a history: due and carry of each month by currency, and the sum of all charges less credits.
sub books
{
	my ($starts, @events) = @_;
	my (@charged, @credited, @usable, %sum, $lines);
	for my $e (0 .. $#events)
	{
		my ($event, $before) = ($events[$e], $e ? $events[ $e - 1 ] : { plan => 'none', seats => {} });
		my ($old, $new) = ($plan{ $before->{plan} }, $plan{ $event->{plan} });
		my $month = month_of($starts, $event->{at});
		my $same_plan = $before->{plan} eq $event->{plan};
		for my $user (@users)
		{
			my ($had, $has) = (!!$before->{seats}{$user}, !!$event->{seats}{$user});
			next if $had == $has && ($same_plan || !$had);
			if ($had && $old->{price})
			{
				# At the very start of a period nothing is left of the one before.
				my ($first, $next) = period_of($old, $month);
				my $rest = $event->{at} == $starts->[$first] ? 0 : rest($old, $event->{at}, $starts->[$first], $starts->[$next]);
				$credited[$month]{ $old->{currency} } += $rest;
				$usable[ $has ? $month : $next ]{ $old->{currency} } += $rest;
				$sum{ $old->{currency} } -= $rest;
				$lines++;
			}
			if ($has && $new->{price})
			{
				my ($first, $next) = period_of($new, $month);
				# A period's start is charged below.
				my $rest = $event->{at} == $starts->[$first] ? 0 : rest($new, $event->{at}, $starts->[$first], $starts->[$next]);
				$charged[$month]{ $new->{currency} } += $rest;
				$sum{ $new->{currency} } += $rest;
				$lines++;
			}
		}
		# The starts of periods from this event up to just before the next one.
		next unless $new->{price};
		my $until = $e < $#events ? $events[ $e + 1 ]{at} : $starts->[-1];
		for my $m (grep { $starts->[$_] >= $event->{at} && $starts->[$_] < $until } 0 .. $months - 1)
		{
			next if (period_of($new, $m))[0] != $m;
			my $amount = $new->{price} * keys %{ $event->{seats} };
			$charged[$m]{ $new->{currency} } += $amount;
			$sum{ $new->{currency} } += $amount;
			$lines += keys %{ $event->{seats} };
		}
	}
	my (@due, @carry, %credit, %free);
	for my $m (0 .. $months - 1)
	{
		for my $currency (qw(EUR USD))
		{
			my $charge = $charged[$m]{$currency} || 0;
			$free{$currency} += $usable[$m]{$currency} || 0;
			my $used = $charge < $free{$currency} ? $charge : $free{$currency};
			$free{$currency} -= $used;
			$credit{$currency} += ($credited[$m]{$currency} || 0) - $used;
			$due[$m]{$currency} = $charge - $used;
			$carry[$m]{$currency} = $credit{$currency};
		}
	}
	return (\@due, \@carry, \%sum, $lines);
}

my $negative = 0;
for my $zone (@zones)
{
	my $org = sprintf('00000000-0000-0000-0000-00000000a%03x', scalar(grep { $_ le $zone } @zones));
	my @starts = split /\n/, $node->safe_psql('postgres',
		"SELECT (extract(epoch FROM m AT TIME ZONE '$zone') * 1000000)::bigint FROM generate_series('2019-07-01'::timestamp, '2019-07-01'::timestamp + interval '@{[$months + 12]} months', '1 month') m");
	my @events = history(\@starts);
	my ($due, $carry, $sum, $lines) = books(\@starts, @events);

	my $script = "\\set org $org\nSET orgusers.user_id = '$users[0]';\n"
	  . "SELECT orgusers.create_organization('Org', 'plans_and_groups', '$org', '$zone'); SELECT orgusers.set_plan('$org', '$events[0]{plan}', '$users[0]');\n"
	  . "DELETE FROM orgusers.plan_ledger WHERE org_id = '$org';\n"
	  . "UPDATE orgusers.memberships SET seat_since = " . sql_time($events[0]{at}) . " WHERE org_id = '$org';\n"
	  . "UPDATE orgusers.subscriptions SET since = " . sql_time($events[0]{at}) . " WHERE org_id = '$org';\n"
	  . join '', map { "$_;\n" } map { @{ $_->{sql} } } @events;
	$node->safe_psql('postgres', $script);

	# Every month's statement, in cents.
	my %stated = map { my ($month, $currency, $kind, $cents) = split /\|/; ("$month $currency $kind" => $cents) } split /\n/, $node->safe_psql('postgres', qq{
		SELECT m, currency, kind, (sum(amount) * 100)::int FROM generate_series(0, $months - 1) m, orgusers.billing_statement_of('$org', ('2019-07-15'::date + m * interval '1 month')::date)
		WHERE kind IN ('due', 'carry') GROUP BY 1, 2, 3});
	my (@wrong, %paid);
	for my $m (0 .. $months - 1)
	{
		for my $currency (qw(EUR USD))
		{
			my ($d, $c) = map { $stated{"$m $currency $_"} || 0 } qw(due carry);
			push @wrong, "month $m: due $d $currency, not $due->[$m]{$currency}" if $d != $due->[$m]{$currency};
			push @wrong, "month $m: carry $c $currency, not $carry->[$m]{$currency}" if $c != $carry->[$m]{$currency};
			$negative++ if $d < 0 || $c < 0;
			$paid{$currency} += $d;
		}
	}
	is(join("\n", @wrong), '', "C6, C7: $zone: what is due and what is carried, in every month") or diag(join "\n", map { "$_->{at} $_->{plan} @{[scalar keys %{$_->{seats}}]}: @{$_->{sql}}" } @events);

	# Charges less credits are the seat time used: exactly by the rule for rounding, and within it by plain division.
	is($paid{$_} - $carry->[ $months - 1 ]{$_}, $sum->{$_} || 0, "C6, C7: $zone: all that was due, less what is left of credits, is what was used, in $_") for qw(EUR USD);
	my $usage = $node->safe_psql('postgres', qq{
		SELECT u.plan, extract(epoch FROM greatest(u.started_at, p.a)) * 1000000, extract(epoch FROM least(u.ended_at, p.b)) * 1000000,
		       extract(epoch FROM p.a) * 1000000, extract(epoch FROM p.b) * 1000000
		FROM orgusers.seat_usage_of('$org', '2019-01-01', '2026-01-01') u JOIN orgusers.plans pl ON pl.id = u.plan
		JOIN LATERAL (SELECT a AT TIME ZONE '$zone' AS a, (a + ('1 ' || billing_period)::interval) AT TIME ZONE '$zone' AS b
		              FROM generate_series('2018-01-01'::timestamp, '2027-01-01', ('1 ' || billing_period)::interval) a) p
		     ON u.started_at < p.b AND u.ended_at > p.a
		WHERE seat_price IS NOT NULL});
	my (%used, %exact);
	for (split /\n/, $usage)
	{
		my ($name, @t) = split /\|/;
		@t = map { int } @t;
		my $p = $plan{$name};
		$used{ $p->{currency} } += rest($p, @t[ 0, 2, 3 ]) - rest($p, @t[ 1, 2, 3 ]);
		no integer;
		$exact{ $p->{currency} } += $p->{price} * ($t[1] - $t[0]) / ($t[3] - $t[2]);
	}
	is($used{$_} || 0, $sum->{$_} || 0, "C6, C7: $zone: seat_usage, priced, gives the same sum in $_") for qw(EUR USD);
	no integer;
	cmp_ok(abs(($exact{$_} || 0) - ($sum->{$_} || 0)), '<=', 0.5 * ($lines + 1), "C6, C7: $zone: within half a cent for each line of the plain quotient in $_") for qw(EUR USD);
}
is($negative, 0, 'C6: nothing due and nothing carried is below nothing');

done_testing();
