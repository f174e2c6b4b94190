# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Tells whether a file is on a network file system, where SQLite's write-ahead log does not work.

The log's index is memory that processes share, and its locks must be seen by all of them: neither holds across machines
(sqlite.org/wal.html, "Disadvantages"; sqlite.org/howtocorrupt.html, section 2).
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Final

__all__ = ["network_file_system", "network_type_of"]

_MOUNTS: Final = Path("/proc/self/mountinfo")  # proc_pid_mountinfo(5)
_ESCAPE: Final = re.compile(r"\\([0-7]{3})")

_NETWORK: Final = frozenset(
    {
        "9p",
        "acfs",
        "afs",
        "auristorfs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "ocfs2",
        "orangefs",
        "panfs",
        "pvfs2",
        "vboxsf",
        "webdav",
    }
)
_NETWORK_FUSE: Final = frozenset(
    {
        "blobfuse",
        "blobfuse2",
        "ceph",
        "curlftpfs",
        "davfs",
        "gcsfuse",
        "glusterfs",
        "goofys",
        "gvfsd-fuse",
        "juicefs",
        "mount-s3",
        "moosefs",
        "rclone",
        "s3fs",
        "seaweedfs",
        "sshfs",
        "vmhgfs-fuse",
    }
)


def network_file_system(path: Path) -> str | None:
    """The type of the network file system a file is on, or would be; ``None`` where it is local or cannot be known."""
    try:
        mounts = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None  # not Linux
    return network_type_of(str(path.resolve()), mounts)


def network_type_of(path: str, mountinfo: str) -> str | None:
    """The same, told from the text of ``/proc/self/mountinfo``.

    Args:
        path: Absolute, with symbolic links resolved.
        mountinfo: One mount a line; of several at one place, the last hides the others.
    """
    wanted = PurePosixPath(path)
    best, kind = -1, ""
    for line in mountinfo.splitlines():
        before, separator, after = line.partition(" - ")
        fields, tail = before.split(" "), after.split(" ")
        if not separator or len(fields) < 5:
            continue
        point = PurePosixPath(_unescaped(fields[4]))
        depth = len(point.parts)
        if depth >= best and wanted.is_relative_to(point):
            best, kind = depth, tail[0]
    return kind if _is_network(kind) else None


def _is_network(kind: str) -> bool:
    family, _, subtype = kind.partition(".")
    if family.startswith("fuse"):  # fuse, fuseblk
        return subtype in _NETWORK_FUSE
    return kind in _NETWORK or kind.startswith(("nfs", "smb"))


def _unescaped(field: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 8)), field)
