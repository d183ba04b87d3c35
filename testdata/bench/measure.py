"""Runs a command and prints what it and its children took: CPU seconds, and octets resident at most.
A program of its own, since a child counts what its parent had resident before exec."""
import json, os, sys
pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
_, status, use = os.wait4(pid, 0)
print(json.dumps({"status": os.waitstatus_to_exitcode(status), "cpu": use.ru_utime + use.ru_stime, "memory": use.ru_maxrss * 1024}))
