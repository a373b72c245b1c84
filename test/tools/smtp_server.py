#!/usr/bin/python3
"""An SMTP server for the mailer's tests, on 127.0.0.1.

It prints its port, then stores each mail it takes in DIRECTORY as N.eml (what
was sent) and N.json (the envelope, and what Python's parser makes of the
message), and misbehaves as told.
"""

import argparse
import asyncio
import email
import email.policy
import json
import os
import random
import re
import ssl
from email.header import decode_header, make_header
from email.utils import getaddresses

from aiosmtpd.smtp import SMTP, AuthResult


class Store:
    """Takes mail, or does what the options ask for instead."""

    def __init__(self, options):
        self.options = options
        self.tried = 0
        self.stored = len([n for n in os.listdir(options.directory) if n.endswith('.eml')])

    async def think(self, probability):
        if random.random() < probability and os.path.exists(os.path.join(self.options.directory, 'slow')):
            await asyncio.sleep(0.05)

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if address in self.options.refuse:
            return '550 5.1.1 no such user'
        if address in self.options.full:
            return '552 5.2.2 mailbox full'
        await self.think(0.5)
        envelope.rcpt_tos.append(address)
        return '250 OK'

    async def handle_DATA(self, server, session, envelope):
        self.tried += 1
        how = await server.fault('message', push=False)
        if how:
            return how
        if self.tried <= self.options.temporary:
            return '451 4.3.0 try again later'
        if self.options.reject:
            return '554 5.6.0 message refused'
        if self.options.delay:
            await asyncio.sleep(self.options.delay)
        if self.tried <= self.options.cut:
            server.transport.abort()
            return '421 gone'
        self.store(server, session, envelope)
        await self.think(0.5)
        if self.tried <= self.options.cut_after:
            server.transport.abort()
        how = await server.fault('taken', push=False)
        if how:
            return how
        return '250 OK'

    def store(self, server, session, envelope):
        content = envelope.original_content
        if self.options.brief:
            self.store_briefly(envelope, content)
            return
        message = email.message_from_bytes(content, policy=email.policy.SMTP)
        parts = [p for p in message.walk() if not p.is_multipart()]
        # The newer parser puts blanks between the encoded words of one name.
        addresses = getaddresses([email.message_from_bytes(content)['To']])
        self.stored += 1
        name = os.path.join(self.options.directory, '%05d' % self.stored)
        for suffix, content in (
                ('.json', json.dumps({
                    'from': envelope.mail_from, 'to': envelope.rcpt_tos,
                    'helo': session.host_name, 'tls': server.transport.get_extra_info('sslcontext') is not None,
                    'user': (session.auth_data or b'').decode(),
                    'type': message.get_content_type(),
                    'headers': [[k, str(v)] for k, v in message.items()],
                    'to_names': [str(make_header(decode_header(n))) for n, _ in addresses],
                    'to_addresses': [a for _, a in addresses],
                    'parts': [[p.get_content_type(), p['Content-Transfer-Encoding'], p.get_content()] for p in parts],
                    'defects': [repr(d) for p in message.walk() for d in p.defects]
                               + [repr(d) for v in message.values() for d in v.defects],
                    'bare_line_ends': re.search(rb'\r(?!\n)|(?<!\r)\n', content) is not None,
                    'longest_line': max(map(len, content.split(b'\r\n')))}).encode()),
                ('.eml', content)):
            with open(name + '.tmp', 'wb') as f:
                f.write(content)
            os.rename(name + '.tmp', name + suffix)


    def store_briefly(self, envelope, content):
        message = email.message_from_bytes(content)
        text = next(p for p in message.walk() if not p.is_multipart()).get_payload(decode=True).decode()
        link = re.search(r'https:\S+', text)
        self.stored += 1
        name = os.path.join(self.options.directory, '%05d' % self.stored)
        with open(name + '.tmp', 'w') as f:
            json.dump({'to': envelope.rcpt_tos, 'message_id': message['Message-ID'], 'link': link and link[0]}, f)
        os.rename(name + '.tmp', name + '.json')


class Server(SMTP):
    """Obeys DIRECTORY/fault."""

    async def fault(self, stage, push=True):
        path = os.path.join(self.event_handler.options.directory, 'fault')
        try:
            with open(path) as f:
                first, *others = f.read().splitlines()
        except (FileNotFoundError, ValueError):
            return None
        wanted, how = first.split(' ', 1)
        if wanted != stage:
            return None
        with open(path, 'w') as f:
            f.writelines(line + '\n' for line in others)
        if how == 'hang':
            await asyncio.sleep(3600)
        elif how == 'cut':
            self.transport.abort()
            return how
        elif how.startswith('hold '):
            how = how[5:]
            while not os.path.exists(os.path.join(os.path.dirname(path), 'go')):
                await asyncio.sleep(0.05)
        if push:
            await self.push(how)
        return how

    async def _handle_client(self):
        if not await self.fault('connect'):
            await super()._handle_client()


def obey(stage, command):
    async def smtp_command(self, arg):
        if not await self.fault(stage):
            await getattr(SMTP, command)(self, arg)
    setattr(Server, command, smtp_command)


for verb in ('EHLO', 'MAIL', 'RCPT', 'DATA', 'QUIT'):
    obey(verb.lower(), 'smtp_' + verb)


async def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--directory', required=True)
    parser.add_argument('--port', type=int, default=0)
    parser.add_argument('--brief', action='store_true', help='store address, Message-ID and link only, as N.json')
    parser.add_argument('--temporary', type=int, default=0, metavar='N', help='refuse the first N mails with 451')
    parser.add_argument('--refuse', action='append', default=[], metavar='ADDRESS', help='refuse it with 550')
    parser.add_argument('--full', action='append', default=[], metavar='ADDRESS', help='refuse it with 552')
    parser.add_argument('--reject', action='store_true', help='refuse every message with 554')
    parser.add_argument('--delay', type=float, default=0, metavar='SECONDS', help='think before taking a message')
    parser.add_argument('--cut', type=int, default=0, metavar='N', help='drop the line in the first N messages')
    parser.add_argument('--cut-after', type=int, default=0, metavar='N', help='take the first N messages, then drop the line')
    parser.add_argument('--silent', action='store_true', help='accept connections and say nothing')
    parser.add_argument('--tls', nargs=2, metavar=('CERTIFICATE', 'KEY'), help='offer STARTTLS')
    parser.add_argument('--smtps', action='store_true', help='TLS from the first byte')
    parser.add_argument('--auth', metavar='USER:PASSWORD', help='demand AUTH')
    options = parser.parse_args()

    def authenticate(server, session, envelope, mechanism, data):
        given = data.login + b':' + data.password
        if given == options.auth.encode():
            return AuthResult(success=True, auth_data=data.login)
        return AuthResult(success=False, handled=False)

    context = None
    if options.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*options.tls)
    store = Store(options)

    def protocol():
        if options.silent:
            return asyncio.Protocol()
        return Server(store, hostname='test', loop=asyncio.get_running_loop(),
                      tls_context=None if options.smtps else context,
                      auth_required=bool(options.auth), auth_require_tls=not options.smtps,
                      authenticator=authenticate if options.auth else None)

    server = await asyncio.get_running_loop().create_server(
        protocol, '127.0.0.1', options.port, ssl=context if options.smtps else None)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == '__main__':
    asyncio.run(main())
