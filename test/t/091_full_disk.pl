# The disk with the tables is full under load, then the one with the WAL: errors are clean, and once there is space again
# everything goes on, with nothing half done or lost.
#
# The disk is a small file system in memory, mounted in a namespace of this test's own, where root's rights are not needed.
# Where the machine refuses such namespaces, the test is skipped, or fails if ORGUSERS_LONG is set.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Test::More;

my $small;

BEGIN
{
	if (!($small = $ENV{ORGUSERS_SMALL_DISK}))
	{
		require File::Temp;
		my $directory = File::Temp::tempdir('orgusers-small-XXXXXX', TMPDIR => 1, CLEANUP => 1);
		my @mount = ('unshare', '--user', '--map-root-user', '--mount');
		my $refusal = `@mount mount -t tmpfs -o size=1m tmpfs $directory 2>&1`;
		if ($? != 0)
		{
			my $why = "no file system can be mounted here, for which users other than root need namespaces of their own: $refusal";
			chomp $why;
			die "$why\n" if $ENV{ORGUSERS_LONG};
			plan skip_all => $why;
		}
		# As root of the namespace for the mount, then as oneself again: the server refuses to be root.
		my ($user, $group) = ($<, $( + 0);
		my $status = system @mount, 'sh', '-c',
		  "mount -t tmpfs -o size=96m tmpfs $directory && exec unshare --user --map-user=$user --map-group=$group \"\$0\" \"\$@\"",
		  'env', "ORGUSERS_SMALL_DISK=$directory", $^X, (map { "-I$_" } @INC), $0;
		exit($status >> 8 || ($status ? 1 : 0));
	}
}

use CrashRoom;

my $rounds = $ENV{ORGUSERS_DISK_ROUNDS} || 1;
my $room = CrashRoom->new('disk', initdb => ['--wal-segsize=1'],
	conf => "max_prepared_transactions = 10\nrestart_after_crash = on\nwal_level = replica\nmin_wal_size = 2MB\nmax_wal_size = 8MB");
my $data = $room->{node}->data_dir;
my (@errors, %rounds, %faulty, $mailer);

# Moves a part of the server to the small disk, or back.
sub move
{
	my ($part, $there) = @_;
	$room->{node}->stop;
	my ($from, $to) = $there ? ("$data/$part", "$small/$part") : ("$small/$part", "$data/$part");
	unlink $to if !$there;
	system('cp', '-a', $from, $to) == 0 && system('rm', '-rf', $from) == 0 or die "could not move $part";
	symlink $to, $from or die $! if $there;
	$room->{node}->start;
	return;
}

# Takes all space but so many bytes, or gives it back.
sub fill
{
	my ($left) = @_;
	unlink "$small/ballast";
	return if !defined $left;
	my ($free) = `df --output=avail -B1 '$small'` =~ /(\d+)\s*$/;
	# The load goes on meanwhile, and may have taken what was to be left.
	system("head -c @{[ $free - $left ]} /dev/zero > '$small/ballast'") if $free > $left;
	return;
}

sub start_mailer { $mailer = $room->start_mailer($room->{smtp}, '--poll', '1', '--timeout', '2', '--lease', '12', '--batch', '5'); return }

foreach my $part (('base') x $rounds, ('pg_wal') x $rounds)
{
	move($part, 1);
	$room->recover;
	start_mailer();
	$room->start_load;
	# A replica that does not come keeps the WAL.
	$room->sql("SELECT pg_create_physical_replication_slot('gone', true)") if $part eq 'pg_wal';
	fill(200_000);
	my $full = $part eq 'base' ? sub { $room->{node}->log_contains('No space left on device', $room->{looked}) }
	  : sub { $room->{node}->psql('postgres', 'SELECT 1') != 0 };
	ok(MailRoom::wait_until($full), "$part: the disk becomes full");
	if ($part eq 'base')
	{
		Time::HiRes::sleep(1);
		my $failed = $room->terminate_load;
		cmp_ok($failed->{53100} || 0, '>', 0, "$part: callers get 53100");
		is_deeply([ grep { !/^(OU\d\d\d|P0002|57P01|53100)$/ } keys %$failed ], [], "$part: and nothing else");
		is($room->sql('SELECT count(*) > 0 FROM orgusers.memberships'), 't', "$part: what only reads goes on");
		isnt($room->{node}->psql('postgres', 'INSERT INTO load.people SELECT gen_random_uuid(), NULL FROM generate_series(1, 100000)'), 0, "$part: the disk is full still");
	}
	else
	{
		$room->end_load;
		$room->{node}->_update_pid(-1);
	}
	is(kill(0, $mailer->{run}{KIDS}[0]{PID}), 1, "$part: the mailer lives");
	fill();
	if ($part ne 'base')
	{
		# It has given up by itself, or is about to.
		MailRoom::wait_until(sub { !-e "$data/postmaster.pid" || $room->{node}->psql('postgres', 'SELECT 1') == 0 });
		if (!-e "$data/postmaster.pid") { $room->{node}->{_pid} = undef } else { $room->{node}->_update_pid(1) }
	}
	$room->recover;
	$room->sql("SELECT pg_drop_replication_slot('gone')") if $part eq 'pg_wal';
	my @faults = $room->faults;
	is_deeply(\@faults, [], "$part: nothing is half done or lost");

	$room->start_load;
	Time::HiRes::sleep(0.5);
	$room->terminate_load;
	$room->recover;
	push @faults, $room->faults;
	ok(MailRoom::wait_until(sub { $room->make_due; $room->sql("SELECT count(*) FROM orgusers.mail_outbox WHERE status NOT IN ('sent', 'withdrawn')") == 0 }),
		"$part: with space again the same mailer delivers everything");
	is($room->stop($mailer, 'TERM'), 0, "$part: the mailer ends well");
	push @faults, $room->drain;
	is_deeply(\@faults, [], "$part: everything goes on");
	$rounds{$part}++;
	$faulty{$part}++ if @faults;
	$room->{looked} = -s $room->{node}->logfile;
	move($part, 0);
}
diag("$room->{checked} told to be committed; $room->{mail} deliveries, " . $room->duplicates . ' of them again');
MailRoom::result("a full disk, $_", $rounds{$_}, $faulty{$_} || 0) foreach sort keys %rounds;

$room->end;
done_testing();
