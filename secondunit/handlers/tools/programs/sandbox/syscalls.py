"""System call numbers of x86-64 and arm64, and which of them a confined program is refused."""

from collections.abc import Mapping

from secondunit.queue.value import Value

ARM64 = "aarch64"
X86_64 = "x86_64"


class Machine(Value, frozen=True):
    """An architecture: its word in `struct seccomp_data` (linux/audit.h), and where it stands in `NUMBERS`."""

    audit: int
    column: int


MACHINES: Mapping[str, Machine] = {X86_64: Machine(0xC000003E, 0), ARM64: Machine(0xC00000B7, 1)}

# What no program of a job has any business with: other processes' insides, the machine, and what widens the kernel's
# surface. None: the architecture has no such call. mount and its kin Landlock refuses, too, where there is Landlock.
NEVER: Mapping[str, tuple[int | None, int | None]] = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bpf": (321, 280),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "fanotify_mark": (301, 263),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "ioperm": (173, None),
    "iopl": (172, None),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "lookup_dcookie": (212, 18),
    "migrate_pages": (256, 238),
    "modify_ldt": (154, None),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "move_pages": (279, 239),
    "name_to_handle_at": (303, 264),
    "nfsservctl": (180, 42),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "settimeofday": (164, 170),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "uselib": (134, None),
    "userfaultfd": (323, 282),
    "vhangup": (153, 58),
}

# io_uring does by itself what a filter refuses to those who call; programs do without where it is not there.
ABSENT = {"io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427)}

# Namespaces: a browser's own sandbox is made of them. clone3 hides its flags from a filter; without it, clone is used.
NAMESPACES = {"unshare": (272, 97), "setns": (308, 268), "chroot": (161, 51)}
CLONE3 = {"clone3": (435, 435), "openat2": (437, 437)}

# What Landlock has no say in: owner, mode, times and attributes of files, and truncating before its version 3.
BY_NAME = {
    "chmod": (90, None),
    "chown": (92, None),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "fchownat": (260, 54),
    "futimesat": (261, None),
    "inotify_add_watch": (254, 27),
    "lchown": (94, None),
    "lremovexattr": (198, 15),
    "lsetxattr": (189, 6),
    "removexattr": (197, 14),
    "setxattr": (188, 5),
    "truncate": (76, 45),
    "utime": (132, None),
    "utimensat": (280, 88),
    "utimes": (235, None),
}

# The same of an open file, and so of the input, which is open for reading only.
BY_DESCRIPTOR = {
    "fchmod": (91, 52),
    "fchown": (93, 55),
    "fremovexattr": (199, 16),
    "fsetxattr": (190, 7),
}

# Those that name a process in a register: only itself may be named.
OWN_ONLY = {
    "kill": (62, 129),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
}
ASKED = ("kill", "tgkill")  # of these, what a launcher is asked about
SIGNALS = {"tkill": (200, 130), "pidfd_send_signal": (424, 424)}

# The same for limits and turns, where 0 means oneself; setpriority and ioprio_set name whom in their second register.
ZERO_ONLY = {
    "prlimit64": ((302, 261), 0),
    "sched_setaffinity": ((203, 122), 0),
    "sched_setattr": ((314, 274), 0),
    "sched_setparam": ((142, 118), 0),
    "sched_setscheduler": ((144, 119), 0),
    "ioprio_set": ((251, 30), 1),
    "setpriority": ((141, 140), 1),
}

SHARED_MEMORY = {
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "msgctl": (71, 187),
    "msgget": (68, 186),
    "msgrcv": (70, 188),
    "msgsnd": (69, 189),
    "semctl": (66, 191),
    "semget": (64, 190),
    "semop": (65, 193),
    "semtimedop": (220, 192),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "shmget": (29, 194),
}

SERVING = {"accept": (43, 202), "accept4": (288, 242), "bind": (49, 200), "listen": (50, 201)}
OPENING = {"open": ((2, None), 1), "openat": ((257, 56), 2)}
SOCKET, SOCKETPAIR, CONNECT, SENDTO, SENDMSG, SENDMMSG = (
    (41, 198),
    (53, 199),
    (42, 203),
    (44, 206),
    (46, 211),
    (307, 269),
)
CLONE = (56, 220)
NEWEST = 462  # mseal, of Linux 6.10; younger calls, and those of x86-64's second set, are "not there"
