"""Whoever is in the middle of joining: ends the machine's TLS, opens another to the member, passes each frame on.

    join_relay.py relay LISTEN_ADDRESS MEMBER_ADDRESS CERTIFICATE KEY RECORD    one connection after the other
    join_relay.py replay MEMBER_ADDRESS RECORD                                 sends the recorded ticket once more

RECORD gets the machine's frames as they came (a 4-byte little-endian length before each). The second mode prints
what the member answers. Run in a network namespace of a test.
"""

import socket
import ssl
import struct
import sys
import threading

PORT = 5055
ALPN = "smack-join/1"
LIMIT_S = 30


def read_exactly(stream, size):
    data = b""
    while len(data) < size:
        more = stream.recv(size - len(data))
        if not more:
            return None
        data += more
    return data


def read_frame(stream):
    head = read_exactly(stream, 4)
    if head is None:
        return None
    body = read_exactly(stream, struct.unpack("<I", head)[0])
    return None if body is None else head + body


def to_member(address):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
    tls.set_alpn_protocols([ALPN])
    return tls.wrap_socket(socket.create_connection((address, PORT), LIMIT_S))


def pass_on(source, target, record):
    try:
        while (frame := read_frame(source)) is not None:
            if record is not None:
                record.write(frame)
                record.flush()
            target.sendall(frame)
    except OSError:
        pass  # one of the two has ended the exchange
    for stream in (source, target):
        try:
            stream.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def relay(listen, member, certificate, key, record_path):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    tls.set_alpn_protocols([ALPN])
    with socket.create_server((listen, PORT)) as server, open(record_path, "ab") as record:
        print("ready", flush=True)
        while True:
            raw, _ = server.accept()
            raw.settimeout(LIMIT_S)
            with tls.wrap_socket(raw, server_side=True) as machine, to_member(member) as upstream:
                back = threading.Thread(target=pass_on, args=(upstream, machine, None))
                back.start()
                pass_on(machine, upstream, record)
                back.join()


def replay(member, record_path):
    with open(record_path, "rb") as record, to_member(member) as stream:
        read_frame(stream)  # its hello
        size = record.read(4)
        stream.sendall(size + record.read(struct.unpack("<I", size)[0]))
        answer = read_frame(stream)
        print(answer[4:].decode(errors="replace") if answer else "no answer")


if __name__ == "__main__":
    {"relay": relay, "replay": replay}[sys.argv[1]](*sys.argv[2:])
