# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Which file systems are network file systems, told from the text the kernel writes about mounts."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longrunning.server.storage._sqlite_mounts import network_file_system, network_type_of

MOUNTS = r"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro
23 22 0:21 / /proc rw,nosuid - proc proc rw
30 22 0:40 / /data rw,relatime shared:7 master:3 - nfs4 10.0.0.5:/export rw,vers=4.2
31 30 0:41 / /data/local rw - xfs /dev/vdb rw
32 22 0:42 / /media/a\040b\134c rw - cifs //server/share rw
33 22 0:43 / /people rw - fuse.sshfs me@host: rw
34 22 0:44 / /cloud rw - fuse.gcsfuse bucket rw
35 22 0:45 / /usb rw - fuseblk /dev/sdb1 rw
36 22 0:46 / /guest rw - 9p hostshare rw,trans=virtio
37 22 0:47 / /twice rw - nfs host:/old rw
38 37 0:48 / /twice rw - tmpfs tmpfs rw
39 22 0:49 / /again rw - tmpfs tmpfs rw
40 39 0:50 / /again rw - smb3 //server/new rw
41 22 0:51 / /merged rw - fuse.mergerfs a:b rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/operations.db", None),
        ("/data/operations.db", "nfs4"),
        ("/data", "nfs4"),
        ("/data/local/operations.db", None),
        ("/data/locals/operations.db", "nfs4"),
        ("/database/operations.db", None),
        ("/media/a b\\c/operations.db", "cifs"),
        ("/people/me/operations.db", "fuse.sshfs"),
        ("/cloud/operations.db", "fuse.gcsfuse"),
        ("/usb/operations.db", None),
        ("/guest/x/y/operations.db", "9p"),
        ("/twice/operations.db", None),
        ("/again/operations.db", "smb3"),
        ("/merged/operations.db", None),
    ],
)
def test_the_innermost_mount_decides(path: str, kind: str | None) -> None:
    """The longest mount point above a file counts, of several the last, with escapes undone and whole names only (RUN-2)."""
    assert network_type_of(path, MOUNTS) == kind


@pytest.mark.parametrize(
    "kind",
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "9p",
        "afs",
        "ceph",
        "glusterfs",
        "lustre",
        "fuse.sshfs",
        "fuse.glusterfs",
    ],
)
def test_network_file_systems_are_known(kind: str) -> None:
    """Every file system that other machines write to is one (RUN-2)."""
    assert network_type_of("/a", f"1 0 0:1 / / rw - {kind} source rw") == kind


@pytest.mark.parametrize(
    "kind", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "f2fs", "fuse", "fuse.bindfs", "apfs"]
)
def test_local_file_systems_are_not(kind: str) -> None:
    """Disks of this machine, memory, and layers of containers are local (RUN-2)."""
    assert network_type_of("/a", f"1 0 0:1 / / rw - {kind} source rw") is None


@given(st.text(), st.text())
def test_any_text_is_read(path: str, mountinfo: str) -> None:
    """What a kernel of the future may write is passed over, and never an error (RUN-2)."""
    assert network_type_of(f"/{path}", mountinfo) is None or " - " in mountinfo


def test_this_machine_can_be_asked(tmp_path: Path) -> None:
    """The real table is read, for files that are not there yet, and through symbolic links (RUN-2)."""
    (tmp_path / "link").symlink_to(tmp_path)
    network = network_file_system(tmp_path / "operations.db")
    assert network_file_system(tmp_path / "link" / "operations.db") == network
