"""Both ends of WebSocket.

`server ADDRESS` listens in the clear and prints its port; `client ADDRESS:PORT ROOTS` speaks to a.test over TLS through
the proxy. The client prints each case that held and fails at the first that did not.
"""

import socket
import ssl
import sys
import time

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.server import serve

SIZE = 1 << 20
PATIENCE = 20


last_codes = []


def answer(connection):
    try:
        for message in connection:
            if message == "close":
                connection.close(4000, "as asked")
                return
            connection.send(",".join(last_codes) if message == "codes" else message)
    except ConnectionClosed:
        pass
    last_codes.append(str(connection.close_code))


def opened(address, roots):
    host, port = address.rsplit(":", 1)
    context = ssl.create_default_context(cafile=roots)
    stream = socket.create_connection((host, int(port)), timeout=PATIENCE)
    return connect("wss://a.test/ws", sock=stream, ssl=context, server_hostname="a.test", max_size=None)


def client(address, roots):
    with opened(address, roots) as connection:
        for message in ["text", b"bytes", ""]:
            connection.send(message)
            assert connection.recv(PATIENCE) == message
        print("echo")
        for message in ["x" * SIZE, bytes(range(256)) * (SIZE // 256)]:
            connection.send(message)
            assert connection.recv(PATIENCE) == message
        print("large")
        connection.send(str(part) * 1000 for part in range(10))
        assert connection.recv(PATIENCE) == "".join(str(part) * 1000 for part in range(10))
        print("fragments")
        assert connection.ping().wait(PATIENCE)
        print("ping")
        connection.send("close")
        try:
            connection.recv(PATIENCE)
            raise AssertionError("a message after the end")
        except ConnectionClosed as closed:
            assert (closed.rcvd.code, closed.rcvd.reason) == (4000, "as asked"), closed
        print("close by the server")
    # What the client itself makes of it depends on a race in its library: the server is asked.
    opened(address, roots).close(1000, "done")
    with opened(address, roots) as connection:
        end = time.monotonic() + PATIENCE
        codes = None
        while codes != "1000" and time.monotonic() < end:
            connection.send("codes")
            codes = connection.recv(PATIENCE)
        assert codes == "1000", codes
        print("close by the client")


if sys.argv[1] == "server":
    with serve(answer, sys.argv[2], 0, max_size=None) as server:
        print(server.socket.getsockname()[1], flush=True)
        server.serve_forever()
else:
    client(sys.argv[2], sys.argv[3])
