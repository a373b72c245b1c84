# PostgreSQL's queue of notifications is full, as somebody listens and has not ended a transaction: commits that announce
# mail fail with an error that says so, nothing is half done, and with the wake-up switched off everything goes on.
#
# Before PostgreSQL 17 the queue has 8 GB, which is too much for every day: they are filled if ORGUSERS_LONG is set.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use CrashRoom;
use WarmSession;
use PostgreSQL::Test::Utils;
use Test::More;

my $settable = `pg_config --version` =~ /(\d+)/ && $1 >= 17;
plan skip_all => 'before PostgreSQL 17 the queue is full with 8 GB: ORGUSERS_LONG=1 fills it, with that much disk and some minutes' unless $settable || $ENV{ORGUSERS_LONG};

my $room = CrashRoom->new('queue', conf => "max_prepared_transactions = 10\nlog_statement = none\nfsync = off\n" . ($settable ? 'max_notify_queue_pages = 64' : ''));
my $mailer = $room->start_mailer($room->{smtp}, '--poll', '1', '--timeout', '2', '--lease', '12');
my $listener = WarmSession->new($room->{node});
$listener->must($_) foreach 'LISTEN somebody', 'BEGIN', 'SELECT 1';

# A page each, and no two alike.  A transaction that has no room for all of its own tells nobody of those that it has
# written: who listens reads them only when another says so, and they count till then.
my $each = $settable ? 4 : 10000;
append_to_file("$room->{dir}/fill.sql", "\\o /dev/null\n" . "SELECT pg_notify('somebody', repeat('x', 4100) || i) FROM generate_series(1, $each) i;\n" x 120);
my ($out, $err) = ('', '');
IPC::Run::run([ 'psql', '-qXAt', '-d', $room->{node}->connstr('postgres'), '-v', 'ON_ERROR_STOP=1', '-v', 'VERBOSITY=sqlstate', '-f', "$room->{dir}/fill.sql" ],
	'>', \$out, '2>', \$err, IPC::Run::timeout(1800));
like($err, qr/ERROR:\s+54000/, 'the queue becomes full');
is($room->sql('SELECT pg_notification_queue_usage() > 0.9'), 't', 'it says so');

my $run = sub {
	$room->start_load;
	Time::HiRes::sleep(1);
	my $failed = $room->terminate_load;
	$room->recover;
	return $failed;
};
# One by one: the load waits until each session has done something.
my %states = map { $room->sqlstate("SELECT load.step(-1, 0, $_)") => 1 } 1 .. 40;
is($states{54000}, 1, 'what announces mail fails');
is_deeply([ grep { !/^(54000|none|OU\d\d\d|P0002)$/ } keys %states ], [], 'and nothing fails in another way');
my @faults = $room->faults;
is_deeply(\@faults, [], 'nothing is half done');

# A session knows the setting once it has the library.
$room->sql(q{LOAD 'orgusers'; ALTER SYSTEM SET orgusers.mail_wake_up = off});
$room->sql('SELECT pg_reload_conf()');
my $failed = $run->();
is($failed->{54000} || 0, 0, 'with the wake-up switched off nothing fails for it');
my $sent = sub { $room->sql("SELECT count(*) FROM orgusers.mail_outbox WHERE status NOT IN ('sent', 'withdrawn')") == 0 };
ok(MailRoom::wait_until($sent), 'and the mailer delivers by its poll');
push @faults, $room->faults;

# Its client would have to read all of them first.
$listener->quit;
$room->sql(q{LOAD 'orgusers'; ALTER SYSTEM RESET orgusers.mail_wake_up});
$room->sql('SELECT pg_reload_conf()');
ok(MailRoom::wait_until(sub { $room->sql('SELECT pg_notification_queue_usage()') < 0.2 }), 'when the listener is gone, the queue empties');
$failed = $run->();
is($failed->{54000} || 0, 0, 'and all is as before');
ok(MailRoom::wait_until($sent), 'mail, too');
is($room->stop($mailer, 'TERM'), 0, 'the mailer ends well');
push @faults, $room->drain;
is_deeply(\@faults, [], 'nothing is half done or lost');
MailRoom::result('a full queue of notifications', 1, scalar @faults);

$room->end;
done_testing();
