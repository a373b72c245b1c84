"""The mails that the demo's SMTP server has stored."""
import email
import email.policy
import pathlib
import sys
import time


def wait(recipient, subject):
    """Returns the newest mail to the recipient whose subject contains the text; gives up after 20 seconds."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        for path in sorted(pathlib.Path("mails").glob("**/*.eml"), key=lambda p: p.stat().st_mtime, reverse=True):
            message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            if recipient in message["To"] and subject in message["Subject"]:
                return message
        time.sleep(0.05)
    sys.exit(f"no mail to {recipient} has arrived")
