"""Listens to a vLLM server's KV events with vLLM's own libraries and prints them, one JSON object a line.

usage: kv_events.py EVENTS_ENDPOINT REPLAY_ENDPOINT
A line on stdin with a sequence number asks for a replay from there.
"""

import base64
import json
import sys
import threading

import msgspec
import zmq
from zmq.utils.monitor import recv_monitor_message

END = b"\xff" * 8
events_endpoint, replay_endpoint = sys.argv[1:3]
context = zmq.Context.instance()
lock = threading.Lock()


def say(**line):
    with lock:
        print(json.dumps(line), flush=True)


def batch(kind, topic, sequence, payload):
    _, events, *_ = msgspec.msgpack.decode(payload)
    say(
        kind=kind,
        topic=topic.decode(),
        sequence=int.from_bytes(sequence, "big"),
        payload=base64.b64encode(payload).decode(),
        # Hashes have 64 bits: as text they survive JSON.
        events=[
            {key: [str(item) for item in value] if key == "block_hashes" else value for key, value in event.items()}
            for event in events
        ],
    )


def replays():
    for line in sys.stdin:
        dealer = context.socket(zmq.DEALER)
        dealer.connect(replay_endpoint)
        dealer.send_multipart([b"", int(line).to_bytes(8, "big")])
        while True:
            _, topic, sequence, payload = dealer.recv_multipart()
            if sequence == END:
                break
            batch("replay", topic, sequence, payload)
        say(kind="replay-end")
        dealer.close(0)


subscriber = context.socket(zmq.SUB)
monitor = subscriber.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
subscriber.connect(events_endpoint)
subscriber.setsockopt(zmq.SUBSCRIBE, b"")
recv_monitor_message(monitor)
say(kind="connected")
threading.Thread(target=replays, daemon=True).start()
while True:
    batch("live", *subscriber.recv_multipart())
