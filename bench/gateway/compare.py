#!/usr/bin/env python3
"""What the provider's door costs a request, beside nginx's proxy_pass and LiteLLM's proxy.

    compare.py LOAD RETORT [LITELLM]

All stand before the same upstream, on one core; the upstream and the load have the other. Nothing
is timed of a door whose answer is not the upstream's. Exits with 1 when a door fails.
"""

import http.client
import json
import pathlib
import socket
import subprocess
import sys
import tempfile

import doors

ROOT = pathlib.Path(__file__).resolve().parents[2]
SECONDS = 10
CONNECTIONS = 64
RATE = 1000  # requests a second of the open loop; LiteLLM bears a tenth
TEXT = pathlib.Path("/usr/share/common-licenses/GPL-3")
ANSWER = {
    "id": "chatcmpl-bench", "object": "chat.completion", "created": 1770000000, "model": "bench",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {
        "role": "assistant", "content": " ".join(["A plain answer of some length."] * 24)}}],
    "usage": doors.USAGE,
}


def bodies():
    """Requests of some 900 bytes, no two alike: an instruction and a passage of a text."""
    words = TEXT.read_text().split()
    return [json.dumps({"model": "bench", "max_tokens": 256, "temperature": 0.7, "messages": [
        {"role": "system", "content": "Say in plain words what the passage means."},
        {"role": "user", "content": " ".join(words[at:at + 120])}]})
        for at in range(0, len(words) - 120, 6)]


def ask(door, body):
    connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=60)
    connection.request("POST", "/v1/chat/completions", body, {
        "Content-Type": "application/json", "Authorization": f"Bearer {door.keys[0]}"})
    answer = connection.getresponse()
    text = answer.read().decode()
    if answer.status != 200:
        raise RuntimeError(f"status {answer.status}: {text[:400]}")
    return json.loads(text)


def check_equal(door, body):
    answer = ask(door, body)
    for what, is_, should in (
            ("text", answer["choices"][0]["message"]["content"],
             ANSWER["choices"][0]["message"]["content"]),
            ("usage", {k: answer["usage"][k] for k in doors.USAGE}, doors.USAGE)):
        if is_ != should:
            raise RuntimeError(f"the {what} is not the upstream's: {is_}")


class Measure:
    def __init__(self, load, folder):
        self.load = load
        self.bodies, self.keys = folder / "bodies", folder / "keys"
        self.bodies.write_text("\n".join(bodies()) + "\n")

    def run(self, door, *more):
        self.keys.write_text("\n".join(door.keys) + "\n")
        done = subprocess.run(["taskset", "-c", doors.OTHER_CORE, self.load, str(door.port),
                               self.bodies, self.keys, *map(str, more)],
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip())
        return json.loads(done.stdout)

    def closed(self, door):
        """And what a request costs the door in CPU time."""
        before = door.cpu_seconds()
        out = self.run(door, CONNECTIONS, SECONDS)
        # The load warms up for a second, whose answers cost as the others.
        share = (SECONDS + 1) / SECONDS
        out["cpu_us"] = (door.cpu_seconds() - before) / (out["answers"] * share) * 1e6
        return out

    def open(self, door, rate):
        return self.run(door, CONNECTIONS, SECONDS, rate)


def hold_idle(door, count):
    held = [socket.create_connection(("127.0.0.1", door.port)) for _ in range(count)]
    return held


def still_there(held):
    alive = 0
    for link in held:
        link.setblocking(False)
        try:
            alive += link.recv(1) != b""
        except BlockingIOError:
            alive += 1
        except OSError:
            pass
    return alive


def measure(name, door, measuring, base, rate):
    check_equal(door, bodies()[0])
    most, slow = measuring.closed(door), measuring.open(door, rate)
    row = {"door": name, "requests_per_second": most["per_second"],
           "cpu_us_a_request": round(most["cpu_us"], 1), "rate": rate,
           "p50_ms": slow["p50_ms"], "p99_ms": slow["p99_ms"],
           "added_p50_ms": round(slow["p50_ms"] - base["p50_ms"], 3),
           "added_p99_ms": round(slow["p99_ms"] - base["p99_ms"], 3),
           "peak_mib": door.peak_mib()}
    print(json.dumps(row), flush=True)
    return row


def measure_idle(door, measuring, rows, count=5000):
    held = hold_idle(door, count)
    out = measuring.closed(door)
    alive = still_there(held)
    for link in held:
        link.close()
    row = {"door": f"retort, {alive} of {count} idle connections beside",
           "requests_per_second": out["per_second"], "cpu_us_a_request": round(out["cpu_us"], 1),
           "peak_mib": door.peak_mib()}
    print(json.dumps(row), flush=True)
    rows.append(row)


def print_table(rows):
    limit = next(r["requests_per_second"] for r in rows if r["door"] == "nginx proxy_pass")
    print("\n| door on one core | requests/s | of nginx | CPU µs a request | added p50 ms | "
          "added p99 ms | peak MiB |\n|" + "---|" * 7)
    for row in rows:
        cells = [row["door"], f"{row['requests_per_second']:,}",
                 f"{row['requests_per_second'] / limit:.2f}", row["cpu_us_a_request"],
                 row.get("added_p50_ms", ""), row.get("added_p99_ms", ""), row["peak_mib"]]
        print("| " + " | ".join(map(str, cells)) + " |")


def main():
    load, program = sys.argv[1:3]
    peer = sys.argv[3] if len(sys.argv) > 3 and pathlib.Path(sys.argv[3]).exists() else None
    with tempfile.TemporaryDirectory(prefix="retort-gateway-") as name:
        folder = pathlib.Path(name)
        measuring = Measure(load, folder)
        upstream = doors.upstream(folder / "upstream", ANSWER)
        opened = [upstream]
        try:
            base = measuring.open(upstream, RATE)
            slow_base = measuring.open(upstream, RATE // 10)
            rows = []

            def side(label, door, rate=RATE, base=base):
                opened.append(door)
                rows.append(measure(label, door, measuring, base, rate))
                return door

            side("nginx proxy_pass", doors.proxy_pass(folder / "nginx", upstream.port)).stop()
            door = side("retort", doors.retort(folder / "retort", program, upstream.port,
                                               ROOT / "examples/forbidden/policy.toml"))
            measure_idle(door, measuring, rows)
            door.stop()
            if peer:
                side("LiteLLM proxy", doors.litellm(folder / "litellm", peer, upstream.port),
                     RATE // 10, slow_base).stop()
            print_table(rows)
        finally:
            for door in opened:
                door.stop()


if __name__ == "__main__":
    try:
        main()
    except RuntimeError as error:
        sys.exit(f"gateway: {error}")
