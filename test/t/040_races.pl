# Many sessions do whatever they like to a few organizations, at every isolation level: what must always hold
# holds afterwards, and nobody got an error that callers are not told about.
#
# The sessions' scripts follow from the seed alone: ORGUSERS_SEED=n repeats them, if not their timing.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Reference;
use Test::More;

my $clients = 12;
my $seed = $ENV{ORGUSERS_SEED} || time;
srand($seed);
diag("seed $seed");

my @users = map { sprintf('00000000-0000-0000-0000-0000000000%02x', $_) } 1 .. 14;
my @orgs = map { sprintf('00000000-0000-0000-0000-00000000a%03x', $_) } 1 .. 4;
# Deleted and made again while others work in it.
my $brief = '00000000-0000-0000-0000-00000000b001';

my $node = PostgreSQL::Test::Cluster->new('races');
$node->init;
# Nothing here is about durability, and deadlocks are to be found, not waited for.
$node->append_conf('postgresql.conf', "fsync = off\nsynchronous_commit = off\ndeadlock_timeout = 50ms\nmax_connections = 40");
$node->start;

my $founding = join "\n", map {
	my $org = $_;
	my $paid = $org =~ /[13]$/ ? '' : "PERFORM orgusers.set_plan('$org', 'paid', '$users[0]');";
	qq{PERFORM orgusers.create_organization('$org', 'plans_and_groups', '$org'); $paid
	INSERT INTO orgusers.memberships (org_id, user_id) VALUES ('$org', '$users[1]'), ('$org', '$users[2]');
	PERFORM orgusers.set_user_roles('$org', '$users[1]', '{ADMIN}');
	PERFORM orgusers.create_group('$org', 'ops', '{USER}');
	PERFORM orgusers.create_space('$org', 'one'), orgusers.create_space('$org', 'two');}
} @orgs;
$node->safe_psql(
	'postgres', qq{
CREATE EXTENSION orgusers;
SELECT orgusers.install_plans_and_groups();
INSERT INTO orgusers.role_templates (policy, id, name, holds_seat, all_spaces, most_spaces) VALUES ('plans_and_groups', 'guest', 'GUEST', false, false, 1);
INSERT INTO orgusers.role_template_grants VALUES ('plans_and_groups', 'admin', 'guest');
SELECT orgusers.add_mailer_key('2Dl7oW4h0VTqD8VdH6GC0Xe0gS0K3mDOUQm8o5mS0Eg=');
SELECT orgusers.register_user((id || '\@example.org')::orgusers.email, id => id::uuid, email_verified => true)
	FROM unnest('{@{[join ',', @users]}}'::text[]) id;
DO \$\$
BEGIN
	PERFORM orgusers.act_as('$users[0]');
	$founding
END
\$\$;
}
  . Reference::broken());

sub any { return $_[ int(rand(@_)) ] }

# The invitations that a step is about; NULL ids when there is none.
sub invitation
{
	my ($org, $user, $status) = @_;
	my $whose = $user ? "AND i.email = '$user\@example.org'::orgusers.email" : '';
	return "(SELECT i.org_id, i.id FROM orgusers.invitations i WHERE i.org_id = '$org' AND i.status = '$status' $whose ORDER BY random() LIMIT 1) i";
}

# Makes the user the actor; mostly, some administrator of the organization.
sub actor
{
	my ($org, $user) = @_;
	return "SET LOCAL orgusers.user_id = '$user';\n" if rand() < 0.2;
	return "SELECT set_config('orgusers.user_id', r.user_id::text, true) FROM (SELECT user_id FROM orgusers.rights"
	  . " WHERE org_id = '$org' AND permission = 'roles.assign' ORDER BY random() LIMIT 1) r;\n";
}

# Calls as an application makes them: name => [weight, statement of (organization, actor, other user)].
my %flows = (
	invite     => [ 4, sub { "SELECT orgusers.invite_user('$_[0]', '$_[2]\@example.org', @{[any(q{'{USER}'}, q{'{ADMIN}'}, q{'{GUEST}'}, q{NULL})]}, @{[any(q{'{ops}'}, q{NULL})]})" } ],
	accept     => [ 8, sub { "SET LOCAL orgusers.user_id = '$_[2]'; SELECT orgusers.accept_my_invitation(i.org_id, i.id) FROM @{[invitation($_[0], $_[2], 'pending')]}" } ],
	again      => [ 1, sub { "SET LOCAL orgusers.user_id = '$_[2]'; SELECT orgusers.accept_my_invitation(i.org_id, i.id) FROM @{[invitation($_[0], $_[2], 'accepted')]}" } ],
	decline    => [ 1, sub { "SET LOCAL orgusers.user_id = '$_[2]'; SELECT orgusers.decline_my_invitation(i.org_id, i.id) FROM @{[invitation($_[0], $_[2], 'pending')]}" } ],
	cancel     => [ 1, sub { "SELECT orgusers.cancel_invitation(i.org_id, i.id) FROM @{[invitation($_[0], undef, 'pending')]}" } ],
	resend     => [ 2, sub { "SELECT orgusers.resend_invitation(i.org_id, i.id) FROM @{[invitation($_[0], undef, 'pending')]}" } ],
	link       => [ 1, sub { "SELECT orgusers.invitation_link(i.org_id, i.id) FROM @{[invitation($_[0], undef, 'pending')]}" } ],
	forget     => [ 1, sub { "SELECT orgusers.remove_invitation(i.org_id, i.id) FROM @{[invitation($_[0], undef, 'declined')]}" } ],
	remove     => [ 3, sub { "SELECT orgusers.remove_user('$_[0]', '$_[2]')" } ],
	deactivate => [ 3, sub { "SELECT orgusers.deactivate_user('$_[0]', '$_[2]')" } ],
	reactivate => [ 4, sub { "SELECT orgusers.reactivate_user('$_[0]', '$_[2]')" } ],
	roles      => [ 5, sub { "SELECT orgusers.set_user_roles('$_[0]', '$_[2]', @{[any(q{'{ADMIN}'}, q{'{ADMIN,USER}'}, q{'{USER}'}, q{'{GUEST}'}, q{'{}'})]})" } ],
	demote     => [ 3, sub { "SELECT orgusers.set_user_roles('$_[0]', '$_[1]', '{USER}')" } ],
	groups     => [ 2, sub { "SELECT orgusers.set_user_groups('$_[0]', '$_[2]', @{[any(q{'{ops}'}, q{'{}'})]})" } ],
	ungroup    => [ 1, sub { "SELECT orgusers.delete_group('$_[0]', 'ops')" } ],
	group      => [ 2, sub { "SELECT orgusers.create_group('$_[0]', 'ops', @{[any(q{'{USER}'}, q{'{ADMIN}'})]})" } ],
	carry      => [ 1, sub { "SELECT orgusers.set_group_roles('$_[0]', 'ops', @{[any(q{'{USER}'}, q{'{}'})]})" } ],
	assign     => [ 3, sub { "SELECT orgusers.assign_spaces('$_[0]', '$_[2]', '{@{[any('one', 'two')]}}')" } ],
	spaces     => [ 3, sub { "SELECT orgusers.set_user_spaces('$_[0]', '$_[2]', '{@{[any('one', 'two', 'one,two')]}}')" } ],
	gspaces    => [ 1, sub { "SELECT orgusers.set_group_spaces('$_[0]', 'ops', '{@{[any('one', 'two', '')]}}')" } ],
	inspaces   => [ 1, sub { "SELECT orgusers.set_invitation_spaces(i.org_id, i.id, '{@{[any('one', 'two')]}}') FROM @{[invitation($_[0], undef, 'pending')]}" } ],
	space      => [ 1, sub { "SELECT orgusers.create_space('$_[0]', '@{[any('one', 'two')]}')" } ],
	unspace    => [ 1, sub { "SELECT orgusers.delete_space('$_[0]', '@{[any('one', 'two')]}')" } ],
	billing    => [ 4, sub { "SELECT orgusers.set_billing_admin('$_[0]', '$_[2]')" } ],
	cc         => [ 3, sub { "SELECT orgusers.set_billing_cc('$_[0]', '{$_[2]\@example.org}')" } ],
	free       => [ 2, sub { "SELECT orgusers.set_plan('$_[0]', 'free')" } ],
	paid       => [ 2, sub { "SELECT orgusers.set_plan('$_[0]', 'paid', '$_[2]')" } ],
	rename     => [ 1, sub { "SELECT orgusers.rename_organization('$_[0]', 'acme')" } ],
	found      => [ 2, sub { "SELECT orgusers.create_organization('brief', 'plans_and_groups', '$brief')" } ],
	dissolve   => [ 1, sub { "SELECT orgusers.delete_organization('$brief')" } ],
	briefly    => [ 2, sub { "SELECT orgusers.invite_user('$brief', '$_[2]\@example.org')" } ],
	join       => [ 2, sub { "SET LOCAL orgusers.user_id = '$_[2]'; SELECT orgusers.accept_my_invitation(i.org_id, i.id) FROM @{[invitation($brief, $_[2], 'pending')]}" } ],
	list       => [ 1, sub { "SELECT count(*) FROM orgusers.list_users('$_[0]')" } ]);

# What the owner of the database may also do.
my %direct = (
	d_insert => [ 4, sub { "INSERT INTO orgusers.memberships (org_id, user_id) VALUES ('$_[0]', '$_[2]')" } ],
	d_upsert => [ 2, sub { "INSERT INTO orgusers.memberships (org_id, user_id) VALUES ('$_[0]', '$_[2]') ON CONFLICT (org_id, user_id) DO UPDATE SET status = 'active', deactivated_at = NULL" } ],
	d_merge  => [ 2, sub { "MERGE INTO orgusers.memberships m USING (SELECT '$_[0]'::uuid AS org_id, '$_[2]'::uuid AS user_id) n ON m.org_id = n.org_id AND m.user_id = n.user_id WHEN MATCHED THEN UPDATE SET status = 'active', deactivated_at = NULL WHEN NOT MATCHED THEN INSERT (org_id, user_id) VALUES (n.org_id, n.user_id)" } ],
	d_sleep  => [ 3, sub { "UPDATE orgusers.memberships SET status = 'deactivated', deactivated_at = now() WHERE org_id = '$_[0]' AND user_id = '$_[2]'" } ],
	d_wake   => [ 3, sub { "UPDATE orgusers.memberships SET status = 'active', deactivated_at = NULL WHERE org_id = '$_[0]'" } ],
	d_roles  => [ 3, sub { "DELETE FROM orgusers.membership_roles WHERE org_id = '$_[0]' AND user_id = '$_[2]'" } ],
	d_give   => [ 3, sub { "INSERT INTO orgusers.membership_roles SELECT m.org_id, m.user_id, r.id FROM orgusers.memberships m JOIN orgusers.roles r USING (org_id) WHERE m.org_id = '$_[0]' AND m.user_id = '$_[2]' AND r.template = 'admin' ON CONFLICT DO NOTHING" } ],
	d_guest  => [ 2, sub { "DELETE FROM orgusers.membership_roles WHERE org_id = '$_[0]' AND user_id = '$_[2]'; UPDATE orgusers.memberships SET holds_seat = NOT holds_seat WHERE org_id = '$_[0]' AND user_id = '$_[2]'" } ],
	d_delete => [ 2, sub { "DELETE FROM orgusers.memberships WHERE org_id = '$_[0]' AND user_id = '$_[2]'" } ],
	d_move   => [ 2, sub { "DELETE FROM orgusers.membership_roles WHERE org_id = '$_[0]' AND user_id = '$_[2]'; DELETE FROM orgusers.group_members WHERE org_id = '$_[0]' AND user_id = '$_[2]'; DELETE FROM orgusers.space_members WHERE org_id = '$_[0]' AND user_id = '$_[2]'; UPDATE orgusers.memberships SET org_id = '@{[any(@orgs)]}' WHERE org_id = '$_[0]' AND user_id = '$_[2]'" } ],
	d_space  => [ 3, sub { "INSERT INTO orgusers.space_members (org_id, space_id, user_id) SELECT s.org_id, s.id, m.user_id FROM orgusers.spaces s JOIN orgusers.memberships m USING (org_id) WHERE s.org_id = '$_[0]' AND m.user_id = '$_[2]' ON CONFLICT DO NOTHING" } ],
	d_hold   => [ 3, sub { "INSERT INTO orgusers.membership_roles (org_id, user_id, role_id, holds_seat) SELECT m.org_id, m.user_id, r.id, false FROM orgusers.memberships m JOIN orgusers.roles r USING (org_id) WHERE NOT m.holds_seat AND m.org_id = '$_[0]' AND m.user_id = '$_[2]' AND r.template = 'guest' ON CONFLICT DO NOTHING" } ],
	d_bill   => [ 2, sub { "UPDATE orgusers.subscriptions SET billing_admin_id = '$_[2]' WHERE org_id = '$_[0]' AND paid" } ],
	d_plan   => [ 2, sub { "UPDATE orgusers.subscriptions SET plan = 'free', paid = false, billing_admin_id = NULL WHERE org_id = '$_[0]'" } ],
	d_seats  => [ 2, sub { "UPDATE orgusers.plans SET seats = @{[any(3, 4)]} WHERE id = 'free'" } ]);

# Runs scripts of so many transactions, each of one to most steps out of the table, in all clients at once.
# Returns counts by "step SQLSTATE"; a step that fails at the commit is counted there.
sub race
{
	my ($transactions, $most, %steps) = @_;
	my @names = map { my $name = $_; ($name) x $steps{$name}[0] } sort keys %steps;
	my (@running, %count);
	$count{broken} = 0;
	for my $client (1 .. $clients)
	{
		my $script = "\\o /dev/null\n";
		for (1 .. $transactions)
		{
			my $level = any('READ COMMITTED', 'READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE');
			my @now = map { any(@names) } 1 .. 1 + int(rand($most));
			$script .= "BEGIN ISOLATION LEVEL $level;\n";
			for my $name (@now)
			{
				my ($org, $actor, $other) = (any(@orgs), any(@users[ 0 .. 3 ]), any(@users[ 0 .. 5 ], @users));
				$script .= actor($org, $actor) . $steps{$name}[1]->($org, $actor, $other) . ";\n\\echo $name :SQLSTATE '$level'\n";
			}
			# Others get a chance to come in between.
			$script .= "SELECT pg_sleep(0.003);\n" if rand() < 0.3;
			# After an error this is a rollback, which succeeds.
			$script .= "COMMIT;\n\\echo commit:" . join('+', @now) . " :SQLSTATE '$level'\n"
			  . "SELECT count(*) AS broken FROM broken \\gset\n\\echo broken :broken\n";
		}
		# Files, not pipes: nobody waits for this process to write and read.
		my $file = "$PostgreSQL::Test::Utils::tmp_check/races_$client";
		append_to_file("$file.sql", $script);
		push @running, { file => $file, handle => IPC::Run::start(
			[ 'psql', '-qXAt', '-d', $node->connstr('postgres'), '-f', "$file.sql" ], '>', "$file.out", '2>', "$file.err",
			IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default)) };
	}
	for my $run (@running)
	{
		$run->{handle}->finish or BAIL_OUT('psql: ' . slurp_file("$run->{file}.err"));
		for (split /\n/, slurp_file("$run->{file}.out"))
		{
			$count{looked}++, $count{broken} += $1 if /^broken (\d+)$/;
			my ($what, $state, $level) = /^(\S+) (\w{5}) (.+)$/ or next;
			# In a transaction that has failed, and no error of its own.
			next if $state eq '25P02';
			$count{"$what $state"}++;
			push @{ $count{odd} }, "$what $state" if $state eq '40001' && $level eq 'READ COMMITTED';
		}
		unlink map { "$run->{file}.$_" } qw(sql out err);
	}
	return \%count;
}

# Reports what happened, and returns the steps that ended with a SQLSTATE other than success and the pattern's.
sub report
{
	my ($title, $count, $allowed) = @_;
	my (%by_state, %unexpected);
	for (grep { !/^commit.* 00000|^(odd|looked|broken)$/ } keys %$count)
	{
		my ($what, $state) = split / /;
		$by_state{$state} += $count->{$_};
		$unexpected{$_} = $count->{$_} if $state !~ /^($allowed)$/ && $state ne '00000';
	}
	diag("$title: " . join(', ', map { "$by_state{$_} $_" } sort keys %by_state));
	return join "\n", map { "$unexpected{$_} times $_" } sort keys %unexpected;
}

# Most kinds of steps have succeeded.  Any single one may be out of luck; in many runs no more than three were at once.
sub some_succeeded
{
	my ($count, %steps) = @_;
	my @never = grep { !$count->{"$_ 00000"} } sort keys %steps;
	cmp_ok(scalar @never, '<', keys(%steps) / 4, "most kinds of steps succeeded, but not: @never");
	return;
}

sub holds
{
	my ($when, $count) = @_;
	cmp_ok($count->{looked}, '>', 1000, "$when: was looked at all along");
	is($count->{broken}, 0, "$when: seats, spaces, billing admins and administrators all along");
	is($node->safe_psql('postgres', $_->[1]), '', "$when: $_->[0]")
	  for (
		[ 'seats, spaces, billing admins and administrators', 'TABLE broken' ],
		[ 'nobody holds anything without being a user, or from another organization', q{
			SELECT mr.* FROM orgusers.membership_roles mr
				WHERE NOT EXISTS (SELECT FROM orgusers.memberships m WHERE m.org_id = mr.org_id AND m.user_id = mr.user_id)
				   OR NOT EXISTS (SELECT FROM orgusers.roles r WHERE r.org_id = mr.org_id AND r.id = mr.role_id);
			SELECT gm.* FROM orgusers.group_members gm
				WHERE NOT EXISTS (SELECT FROM orgusers.memberships m WHERE m.org_id = gm.org_id AND m.user_id = gm.user_id)
				   OR NOT EXISTS (SELECT FROM orgusers.groups g WHERE g.org_id = gm.org_id AND g.id = gm.group_id)} ],
		[ 'nobody holds free roles beside others', q{
			SELECT m.* FROM orgusers.memberships m JOIN orgusers.held_roles h USING (org_id, user_id) JOIN orgusers.roles r ON r.org_id = h.org_id AND r.id = h.role_id
				WHERE m.holds_seat <> r.holds_seat} ],
		[ 'only pending invitations have a token to be mailed', q{
			SELECT o.invitation_id FROM orgusers.mail_outbox o WHERE o.sealed_token IS NOT NULL AND NOT EXISTS (
				SELECT FROM orgusers.invitations i WHERE i.org_id = o.org_id AND i.id = o.invitation_id AND i.status = 'pending')} ],
		[ 'every pending invitation has exactly one mail, and one mailed token', q{
			SELECT i.id FROM orgusers.invitations i WHERE i.status = 'pending'
			  AND ((SELECT count(*) FROM orgusers.mail_outbox o WHERE o.org_id = i.org_id AND o.invitation_id = i.id AND o.sealed_token IS NOT NULL) <> 1
			    OR (SELECT count(*) FROM orgusers.invitation_tokens t WHERE t.org_id = i.org_id AND t.invitation_id = i.id AND t.kind = 'mail') <> 1)} ]);
}

# Calls of the interface, one in a transaction.  They answer with their own SQLSTATEs, and never deadlock.
my $count = race(250, 1, %flows);
is(report('functions', $count, 'OU\d\d\d|40001'), '', 'functions fail with SQLSTATEs of their own, and without a deadlock');
is_deeply($count->{odd} || [], [], 'no serialization failure at READ COMMITTED');
some_succeeded($count, %flows);
holds('after functions', $count);

# With direct DML, two steps in a transaction.  Then deadlocks are the caller's making: a row is locked before
# the organization that it belongs to, or two organizations in any order.
$count = race(200, 2, %flows, %direct);
is(report('functions and direct DML', $count, 'OU\d\d\d|40001|40P01|23503|23505|23514'), '', 'direct DML is refused with SQLSTATEs of constraints');
some_succeeded($count, %flows, %direct);
holds('after direct DML', $count);

# Afterwards everything still works: no lock, no broken row is left behind.
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE d.datname = 'postgres' AND l.pid <> pg_backend_pid()"),
	'0', 'no lock is left');
$node->safe_psql('postgres', 'DELETE FROM orgusers.organizations');
is($node->safe_psql('postgres', 'SELECT count(*) FROM orgusers.memberships'), '0', 'all organizations can be deleted');

done_testing();
