"""Both ends of gRPC, without generated code: messages are bytes.

`server ADDRESS` listens in the clear and prints its port; `client PORT ROOTS` asks a.test through the proxy, and
down.test, whose upstream is not there. The client prints each case that held and fails at the first that did not.
"""

import sys
import threading
import time
from concurrent import futures

import grpc


class Methods(grpc.GenericRpcHandler):
    def service(self, details):
        handler = {
            "/test.Echo/Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "/test.Echo/Up": grpc.stream_unary_rpc_method_handler(self.up),
            "/test.Echo/Down": grpc.unary_stream_rpc_method_handler(self.down),
            "/test.Echo/Both": grpc.stream_stream_rpc_method_handler(self.both),
            "/test.Echo/Slow": grpc.unary_unary_rpc_method_handler(self.slow),
            "/test.Echo/Fail": grpc.unary_unary_rpc_method_handler(self.fail),
        }
        return handler.get(details.method)

    def unary(self, message, context):
        context.set_trailing_metadata((("x-trailer", "after"),))
        sent = dict(context.invocation_metadata()).get("x-sent", "")
        return message + sent.encode()

    def up(self, messages, context):
        return b"".join(messages)

    def down(self, message, context):
        for n in range(100):
            yield message + str(n).encode()

    def both(self, messages, context):
        yield from messages

    def slow(self, message, context):
        time.sleep(20)
        return message

    def fail(self, message, context):
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "said so: ü")


def serve(address):
    server = grpc.server(futures.ThreadPoolExecutor(8), handlers=(Methods(),))
    print(server.add_insecure_port(f"{address}:0"), flush=True)
    server.start()
    server.wait_for_termination()


def channel(target, roots, name):
    options = (("grpc.ssl_target_name_override", name), ("grpc.default_authority", name))
    return grpc.secure_channel(target, grpc.ssl_channel_credentials(roots), options)


def code_of(call):
    try:
        call()
    except grpc.RpcError as error:
        return error.code(), error.details()
    raise AssertionError("no error")


def ask(target, roots):
    echo = channel(target, roots, "a.test")
    unary = echo.unary_unary("/test.Echo/Unary")
    answer, call = unary.with_call(b"hello ", metadata=(("x-sent", "there"),), timeout=10)
    assert answer == b"hello there", answer
    assert ("x-trailer", "after") in [tuple(pair) for pair in call.trailing_metadata()], call.trailing_metadata()
    print("unary")

    large = bytes(3 << 20)
    assert unary(large, timeout=30) == large
    print("large")

    pieces = [b"%d," % n for n in range(500)]
    assert echo.stream_unary("/test.Echo/Up")(iter(pieces), timeout=10) == b"".join(pieces)
    print("client stream")

    answers = list(echo.unary_stream("/test.Echo/Down")(b"n", timeout=10))
    assert answers == [b"n%d" % n for n in range(100)], answers
    print("server stream")

    # Each message is only sent when the one before came back: nothing on the way may wait for more.
    heard = threading.Semaphore(1)

    def one_by_one():
        for n in range(50):
            assert heard.acquire(timeout=10)
            yield b"%d" % n

    count = 0
    for answer in echo.stream_stream("/test.Echo/Both")(one_by_one(), timeout=30):
        assert answer == b"%d" % count, answer
        count += 1
        heard.release()
    assert count == 50, count
    print("both streams")

    started = time.monotonic()
    code, _ = code_of(lambda: echo.unary_unary("/test.Echo/Slow")(b"x", timeout=1))
    assert code == grpc.StatusCode.DEADLINE_EXCEEDED and time.monotonic() - started < 5, code
    print("deadline")

    code, details = code_of(lambda: echo.unary_unary("/test.Echo/Fail")(b"x", timeout=10))
    assert (code, details) == (grpc.StatusCode.FAILED_PRECONDITION, "said so: ü"), (code, details)
    code, _ = code_of(lambda: echo.unary_unary("/test.Echo/None")(b"x", timeout=10))
    assert code == grpc.StatusCode.UNIMPLEMENTED, code
    print("errors")

    down = channel(target, roots, "down.test")
    code, details = code_of(lambda: down.unary_unary("/test.Echo/Unary")(b"x", timeout=10))
    assert code == grpc.StatusCode.UNAVAILABLE, (code, details)
    assert "502" in details or "503" in details, details
    print("unavailable")


if sys.argv[1] == "server":
    serve(sys.argv[2])
else:
    with open(sys.argv[3], "rb") as file:
        ask(sys.argv[2], file.read())
