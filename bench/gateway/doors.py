"""The doors that are compared, each before the same upstream, on one core."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

DOOR_CORE, OTHER_CORE = "0", "1"
ACCOUNTS = 8
USAGE = {"prompt_tokens": 180, "completion_tokens": 160, "total_tokens": 340}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, process):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args[:4]} ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"nobody listens on port {port}")


def cpu_seconds(pid):
    """Of a process and its children, all threads."""
    children = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True)
    total = sum(cpu_seconds(int(child)) for child in children.stdout.split())
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return total + (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


class Door:
    """One process on a core, a port, and the keys that open it."""

    def __init__(self, folder, command, port, keys=("unused",), core=DOOR_CORE, env=None):
        self.port, self.keys, self.folder = port, keys, folder
        self.log = open(folder / "log", "wb")
        self.process = subprocess.Popen(["taskset", "-c", core, *map(str, command)], cwd=folder,
                                        stdout=self.log, stderr=self.log,
                                        env={**os.environ, **(env or {})})
        wait_for(port, self.process)

    def cpu_seconds(self):
        return cpu_seconds(self.process.pid)

    def peak_mib(self):
        return peak_mib(self.process.pid)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


def nginx(folder, server, core, before=""):
    folder.mkdir()
    (folder / "nginx.conf").write_text(f"""
worker_processes 1;
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 16384; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path {folder}; proxy_temp_path {folder};
  fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
  {before}
  server {{ {server} }}
}}
""")
    command = [shutil.which("nginx") or "/usr/sbin/nginx", "-c", folder / "nginx.conf",
               "-e", folder / "error.log"]
    port = int(server.split("127.0.0.1:")[1].split(";")[0])
    return Door(folder, command, port, core=core)


def upstream(folder, answer):
    """Answers everything with the same JSON: the limit of what any door could reach before it."""
    port = free_port()
    body = json.dumps(answer).replace("'", "")
    return nginx(folder, f"listen 127.0.0.1:{port}; location / "
                         f"{{ default_type application/json; return 200 '{body}'; }}", OTHER_CORE)


def proxy_pass(folder, to):
    port = free_port()
    return nginx(folder, f"listen 127.0.0.1:{port}; location / {{ proxy_pass http://upstream; "
                         "proxy_http_version 1.1; proxy_set_header Connection ''; }", DOOR_CORE,
                 f"upstream upstream {{ server 127.0.0.1:{to}; keepalive 256; "
                 "keepalive_requests 1000000000; }")


def retort(folder, program, to, policy):
    """With all that it does: keys, four limits an account, a policy, detection, the audit."""
    folder.mkdir()

    def call(*words):
        done = subprocess.run([program, *words], cwd=folder, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"retort {' '.join(words)}: {done.stderr}")
        return done.stdout

    keys = []
    for number in range(ACCOUNTS):
        account = call("account", "create", f"Account {number}").split()[0]
        for most in ("requests/minute=10000000", "requests/day=1000000000",
                     "output_tokens/day=1000000000000", "parallel/now=10000"):
            call("account", "limit", account, "--most", most)
        keys.append(call("account", "issue", account).strip())
    call("policy", "add", str(policy))
    port = free_port()
    command = [program, "serve", "--upstream", f"bench=http://127.0.0.1:{to}/v1#bench",
               "--accounts", "accounts", "--port", str(port), "--max-connections", "16384",
               "--max-waiting", "8192"]
    return Door(folder, command, port, keys)


def litellm(folder, program, to):
    """Its proxy as its documentation starts it, one worker, one key; no database, no limits."""
    folder.mkdir()
    (folder / "config.yaml").write_text(f"""
model_list:
  - model_name: bench
    litellm_params:
      model: openai/bench
      api_base: http://127.0.0.1:{to}/v1
      api_key: unused
litellm_settings:
  request_timeout: 600
  telemetry: false
""")
    port, key = free_port(), "sk-bench-0123456789abcdef0123456789abcdef"
    return Door(folder, [program, "--config", folder / "config.yaml", "--port", str(port),
                         "--host", "127.0.0.1", "--num_workers", "1"], port, [key],
                env={"LITELLM_MASTER_KEY": key, "LITELLM_LOG": "ERROR",
                     "LITELLM_LOCAL_MODEL_COST_MAP": "True"})
