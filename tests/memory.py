"""The memory of a process."""

# The source of a function that returns the largest resident size of its process in bytes. On Linux, ru_maxrss is at
# least that of the process that has started it.
PEAK_MEMORY = """
import resource, sys
from pathlib import Path

def peak_memory():
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
"""
