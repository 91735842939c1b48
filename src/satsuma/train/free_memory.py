"""How much memory there still is: of a GPU, or of the CPU within what the machine and its limits leave.

Sources: proc(5), getrlimit(2), and the kernel's cgroup-v1 and cgroup-v2 documents.
"""

import os
from pathlib import Path

import torch

CGROUPS = Path("/sys/fs/cgroup")
PROC = Path("/proc")
UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def byte_text(n: float) -> str:
    """Bytes in words.

    >>> byte_text(3 * 2**30)
    '3.00 GiB'
    >>> byte_text(512)
    '512 B'
    """
    power = 0
    while abs(n) >= 1024 and power < len(UNITS) - 1:
        n, power = n / 1024, power + 1
    return f"{n:.2f} {UNITS[power]}" if power else f"{n:.0f} B"


def free_memory(device: torch.device) -> int | None:
    """Bytes that this process can still have on `device`, what it may use again included; None if nothing tells."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    return free_cpu_memory()


def free_cpu_memory(proc: Path = PROC, cgroups: Path = CGROUPS) -> int | None:
    """The least of what the machine has available, its cgroups' limits leave, and `ulimit -v` leaves."""
    found = [machine_memory(proc), address_space_left(proc), *cgroup_memory(proc, cgroups)]
    return min((n for n in found if n is not None), default=None)


def machine_memory(proc: Path) -> int | None:
    """What the kernel thinks can be had without swapping; half of all memory where it does not say."""
    available = named_kib(proc / "meminfo", "MemAvailable")
    if available is not None:
        return available
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, ValueError, OSError):
        return None


def named_kib(file: Path, name: str) -> int | None:
    """The bytes in the line "NAME: 123 kB" of a file of the kernel's."""
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return None
    values = [int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")]
    return values[0] if values else None


def address_space_left(proc: Path) -> int | None:
    """What a limit on the process's address space leaves; None without one."""
    try:
        import resource
    except ImportError:  # no Unix
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    used = named_kib(proc / "self" / "status", "VmSize")
    return None if limit == resource.RLIM_INFINITY or used is None else max(0, limit - used)


def cgroup_memory(proc: Path, cgroups: Path) -> list[int]:
    """What each cgroup around this process leaves, of version 2 or 1; groups without a limit leave nothing to say."""
    try:
        lines = (proc / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:  # "0::/user.slice" or "5:memory:/docker/1234"
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            names = ("memory.max", "memory.current", "inactive_file")
            found += [left_in(folder, *names) for folder in folders_above(cgroups, path)]
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            found += [left_in(folder, *names) for folder in folders_above(cgroups / "memory", path)]
    return [n for n in found if n is not None]


def folders_above(root: Path, path: str) -> list[Path]:
    """The folder `path` below `root` and all above it up to `root`; in a container `path` may not be there."""
    folder = root / path.strip("/")
    return [folder, *(above for above in folder.parents if above == root or root in above.parents)]


def left_in(folder: Path, limit_file: str, usage_file: str, reclaimable: str) -> int | None:
    """A cgroup's limit less its usage, files' pages that it can let go of not counted; None without a limit."""
    try:
        limit, usage = (folder / limit_file).read_text().strip(), int((folder / usage_file).read_text())
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return None
    if not limit.isdigit() or int(limit) >= 2**60:  # "max", or version 1's largest number
        return None
    return max(0, int(limit) - usage + int(stat.get(reclaimable, 0)))
