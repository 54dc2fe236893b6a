/* Which files a program and all that it starts ask the kernel for, without changing what they get.
 *
 *     watcher OUT PROGRAM [ARGUMENT...]
 *
 * The program runs under a seccomp filter that tells this process of each system call that names
 * a file, before it is carried out; it is then carried out as if nothing were there. So static
 * programs, loaders and what libc opens for itself are seen as well as all else, and the program
 * needs neither Python nor a shell. OUT gets each path once for each kind:
 *
 *     KIND PATH NUL     o opened (folders, too)   x executed, or needed to execute
 *     !REASON NUL       nothing, or not everything, was seen; REASON is `errno N`, or `unread`
 *
 * Paths are absolute but neither normalised nor free of links; those that do not exist are there,
 * too. What the program gains by set-user-ID is forbidden to it, as the kernel demands of filters.
 * The program's exit code is handed on, and so are signals.
 *
 * Files that are only looked at (stat, access, readlink) are not told of: Python does that five times
 * as often as it opens one, and each takes 10 µs. Not seen either: system calls of another architecture than this program's (32-bit programs), and paths of
 * processes whose memory this one may not read, which are noted as `unread`.
 *
 * It is linked to no libc. Compile with scripts/file_watcher.py.
 */
#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__)
enum {
    SYS_READ = 0, SYS_WRITE = 1, SYS_OPEN = 2, SYS_CLOSE = 3,
    SYS_MMAP = 9, SYS_MUNMAP = 11, SYS_SIGPROCMASK = 14, SYS_IOCTL = 16, SYS_PREAD = 17,
    SYS_CLONE = 56, SYS_EXECVE = 59, SYS_WAIT4 = 61, SYS_KILL = 62,
    SYS_CREAT = 85, SYS_PRCTL = 157, SYS_EXIT_GROUP = 231, SYS_OPENAT = 257,
    SYS_READLINKAT = 267, SYS_PPOLL = 271,
    SYS_SIGNALFD4 = 289, SYS_PIPE2 = 293, SYS_PROCESS_VM_READV = 310, SYS_SECCOMP = 317,
    SYS_EXECVEAT = 322, SYS_OPENAT2 = 437,
};
enum { AUDIT_ARCH = (int)0xC000003E };
#elif defined(__aarch64__)
enum {
    SYS_IOCTL = 29, SYS_OPENAT = 56, SYS_CLOSE = 57, SYS_PIPE2 = 59,
    SYS_READ = 63, SYS_WRITE = 64, SYS_PREAD = 67, SYS_PPOLL = 73, SYS_SIGNALFD4 = 74,
    SYS_READLINKAT = 78, SYS_EXIT_GROUP = 94, SYS_KILL = 129,
    SYS_SIGPROCMASK = 135, SYS_PRCTL = 167, SYS_MUNMAP = 215, SYS_CLONE = 220, SYS_EXECVE = 221,
    SYS_MMAP = 222, SYS_WAIT4 = 260, SYS_PROCESS_VM_READV = 270, SYS_SECCOMP = 277,
    SYS_EXECVEAT = 281, SYS_OPENAT2 = 437,
};
enum { AUDIT_ARCH = (int)0xC00000B7 };
#else
#error "amd64 and arm64 only"
#endif

enum {
    AT_FDCWD = -100, O_WRONLY = 1, O_CREAT = 0100, O_TRUNC = 01000,
    O_CLOEXEC = 02000000, SIGCHLD = 17, SIG_SETMASK = 2, WNOHANG = 1, CLONE_FILES = 0x400,
    PR_SET_NO_NEW_PRIVS = 38, POLLIN = 1, POLLHUP = 16,
    SECCOMP_SET_MODE_FILTER = 1, SECCOMP_GET_NOTIF_SIZES = 3, NEW_LISTENER = 1 << 3,
    WAIT_KILLABLE_RECV = 1 << 5, CONTINUE = 1,
    ENOENT = 2, EINTR = 4, ENOEXEC = 8, EACCES = 13, ENOTDIR = 20,
    PROT_READ_WRITE = 3, MAP_PRIVATE_ANONYMOUS = 0x22,
    PAGE = 4096, LONGEST = 4 * PAGE, DEEPEST = 4,
};
#define ALLOW 0x7fff0000u
#define TELL 0x7fc00000u
#define IOCTL_RECV 0xc0502100u
#define IOCTL_SEND 0xc0182101u
#define IOCTL_SET_FLAGS 0x40082104u

struct filter { uint16_t code; uint8_t yes, no; uint32_t k; };
struct program { uint16_t length; struct filter *filter; };
struct asked { /* struct seccomp_notif */
    uint64_t id; uint32_t pid, flags; int32_t call; uint32_t arch; uint64_t at; uint64_t args[6];
};
struct answer { uint64_t id; int64_t value; int32_t error; uint32_t flags; };
struct piece { void *base; size_t size; };
struct wait { int fd; short events, seen; };

static long call(long number, long a, long b, long c, long d, long e, long f)
{
#if defined(__x86_64__)
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "0"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
#else
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory");
    return x0;
#endif
}

static size_t length(const char *text)
{
    size_t at = 0;
    while (text[at])
        at++;
    return at;
}

/* Compilers call these two of their own accord. */
void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    for (size_t at = 0; at < size; at++)
        ((char *)to)[at] = ((const char *)from)[at];
    return to;
}

void *memset(void *to, int value, size_t size)
{
    for (size_t at = 0; at < size; at++)
        ((char *)to)[at] = (char)value;
    return to;
}

/* ---- What is written -------------------------------------------------------------------- */

static int out;
static char waiting[1 << 16];
static size_t filled;

static void flush(void)
{
    size_t done = 0;
    while (done < filled) {
        long wrote = call(SYS_WRITE, out, (long)(waiting + done), (long)(filled - done), 0, 0, 0);
        if (wrote < 0 && wrote != -EINTR)
            break;
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    filled = 0;
}

static void put(const char *text, size_t size)
{
    if (size > sizeof waiting - filled)
        flush();
    memcpy(waiting + filled, text, size);
    filled += size;
}

static void put_number(long number)
{
    char digits[24];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + number % 10);
    while (number /= 10);
    put(digits + at, sizeof digits - at);
}

/* Hashes of what was written: 64 bits, of which no two are the same by chance. */
static uint64_t *seen;
static size_t room, known;

static int add(uint64_t *table, size_t size, uint64_t hash)
{
    for (size_t at = hash & (size - 1);; at = (at + 1) & (size - 1)) {
        if (table[at] == hash)
            return 0;
        if (!table[at]) {
            table[at] = hash;
            return 1;
        }
    }
}

static void grow(void)
{
    size_t wanted = room ? room * 2 : 1 << 14;
    long made = call(SYS_MMAP, 0, (long)(wanted * 8), PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0);
    if (made < 0 && made > -4096)
        return; /* then it becomes slow, or writes some twice */
    for (size_t at = 0; at < room; at++)
        if (seen[at])
            add((uint64_t *)made, wanted, seen[at]);
    if (room)
        call(SYS_MUNMAP, (long)seen, (long)(room * 8), 0, 0, 0, 0);
    seen = (uint64_t *)made;
    room = wanted;
}

static int is_new(char kind, const char *base, const char *path)
{
    uint64_t hash = 14695981039346656037u;
    hash = (hash ^ (unsigned char)kind) * 1099511628211u;
    for (const char *part = base; *part; part++)
        hash = (hash ^ (unsigned char)*part) * 1099511628211u;
    hash = (hash ^ '/') * 1099511628211u;
    for (const char *part = path; *part; part++)
        hash = (hash ^ (unsigned char)*part) * 1099511628211u;
    if (known * 2 >= room)
        grow();
    if (known + 1 >= room)
        return 1;
    int fresh = add(seen, room, hash ? hash : 1);
    known += (size_t)fresh;
    return fresh;
}

static void fail_to_see(void)
{
    static int told;
    if (!told++)
        put("!unread", 8);
}

/* ---- What is asked ---------------------------------------------------------------------- */

/* The string at an address of another process; 0 where it cannot be read. */
static int read_path(uint32_t pid, uint64_t at, char *path)
{
    size_t have = 0;
    while (have < LONGEST - 1) {
        size_t size = PAGE - ((at + have) & (PAGE - 1));
        if (size > LONGEST - 1 - have)
            size = LONGEST - 1 - have;
        struct piece here = {path + have, size}, there = {(void *)(at + have), size};
        long got = call(SYS_PROCESS_VM_READV, pid, (long)&here, 1, (long)&there, 1, 0);
        if (got <= 0)
            return 0;
        for (size_t each = have; each < have + (size_t)got; each++)
            if (!path[each])
                return 1;
        have += (size_t)got;
    }
    return 0;
}

/* The folder that a path is relative to. */
static int read_base(uint32_t pid, int fd, char *base)
{
    char link[64] = "/proc/";
    size_t at = 6;
    char digits[12];
    size_t digit = sizeof digits;
    uint32_t number = pid;
    do
        digits[--digit] = (char)('0' + number % 10);
    while (number /= 10);
    memcpy(link + at, digits + digit, sizeof digits - digit);
    at += sizeof digits - digit;
    if (fd == AT_FDCWD) {
        memcpy(link + at, "/cwd", 5);
    } else {
        memcpy(link + at, "/fd/", 4);
        at += 4;
        digit = sizeof digits;
        number = (uint32_t)fd;
        do
            digits[--digit] = (char)('0' + number % 10);
        while (number /= 10);
        memcpy(link + at, digits + digit, sizeof digits - digit);
        link[at + sizeof digits - digit] = 0;
    }
    long got = call(SYS_READLINKAT, AT_FDCWD, (long)link, (long)base, PAGE - 1, 0, 0);
    base[got > 0 ? got : 0] = 0;
    return got > 0;
}

static void note(char kind, const char *base, const char *path, int depth);

/* The kernel opens interpreters by itself: of `#!`, and the loader of a program. */
static void note_interpreter(const char *path, int depth)
{
    char head[PAGE];
    long file = call(SYS_OPENAT, AT_FDCWD, (long)path, O_CLOEXEC, 0, 0, 0);
    if (file < 0)
        return;
    long got = call(SYS_PREAD, file, (long)head, sizeof head - 1, 0, 0, 0);
    head[got > 0 ? got : 0] = 0;
    if (got > 2 && head[0] == '#' && head[1] == '!') {
        char *start = head + 2, *end;
        while (*start == ' ' || *start == '\t')
            start++;
        for (end = start; *end && *end != ' ' && *end != '\t' && *end != '\n'; end++)
            ;
        *end = 0;
        if (*start == '/')
            note('x', "", start, depth + 1);
    } else if (got > 64 && head[0] == 0x7f && head[1] == 'E' && head[4] == 2) {
        uint64_t table = *(uint64_t *)(head + 32);
        uint16_t size = *(uint16_t *)(head + 54), count = *(uint16_t *)(head + 56);
        for (uint16_t each = 0; size >= 56 && each < count; each++) {
            char entry[56];
            long offset = (long)(table + (uint64_t)each * size);
            if (call(SYS_PREAD, file, (long)entry, sizeof entry, offset, 0, 0) < 56)
                break;
            if (*(uint32_t *)entry != 3 /* PT_INTERP */)
                continue;
            uint64_t bytes = *(uint64_t *)(entry + 32);
            long from = *(long *)(entry + 8);
            if (bytes && bytes < sizeof head
                && call(SYS_PREAD, file, (long)head, (long)bytes, from, 0, 0) == (long)bytes) {
                head[bytes] = 0;
                if (head[0] == '/')
                    note('x', "", head, depth + 1);
            }
            break;
        }
    }
    call(SYS_CLOSE, file, 0, 0, 0, 0, 0);
}

static void note(char kind, const char *base, const char *path, int depth)
{
    if (!is_new(kind, base, path))
        return;
    size_t before = length(base), behind = length(path);
    char full[PAGE + LONGEST + 2];
    memcpy(full, base, before);
    full[before] = '/';
    memcpy(full + before + (before != 0), path, behind + 1);
    put(&kind, 1);
    put(full, before + (before != 0) + behind + 1);
    if (kind == 'x' && depth < DEEPEST)
        note_interpreter(full, depth);
}

static void look(const struct asked *asked)
{
    static char path[LONGEST], base[PAGE];
    char kind = 'o';
    int fd = (int)asked->args[0];
    uint64_t at = asked->args[1];
    switch (asked->call) {
#if defined(__x86_64__)
    case SYS_OPEN: case SYS_CREAT:
        fd = AT_FDCWD;
        at = asked->args[0];
        break;
#endif
    case SYS_EXECVE:
        kind = 'x';
        fd = AT_FDCWD;
        at = asked->args[0];
        break;
    case SYS_EXECVEAT: kind = 'x'; break;
    default: break;
    }
    if (!at)
        return; /* the kernel refuses it, or means the file itself */
    if (!read_path(asked->pid, at, path)) {
        fail_to_see();
        return;
    }
    if (!path[0])
        return; /* of a file that is open: it was seen when it was opened */
    base[0] = 0;
    if (path[0] != '/' && !read_base(asked->pid, fd, base)) {
        fail_to_see();
        return;
    }
    note(kind, base, path, 0);
}

/* ---- The program ------------------------------------------------------------------------ */

#define IS(number) {0x15, 0, 1, (number)}, {0x06, 0, 0, TELL}

static long set_filter(void)
{
    struct filter filter[] = {
        {0x20, 0, 0, 4}, /* the architecture */
        {0x15, 1, 0, (uint32_t)AUDIT_ARCH},
        {0x06, 0, 0, ALLOW},
        {0x20, 0, 0, 0}, /* the system call */
        IS(SYS_OPENAT), IS(SYS_OPENAT2), IS(SYS_EXECVE), IS(SYS_EXECVEAT),
#if defined(__x86_64__)
        IS(SYS_OPEN), IS(SYS_CREAT),
#endif
        {0x06, 0, 0, ALLOW},
    };
    struct program program = {sizeof filter / sizeof *filter, filter};
    long result = call(SYS_PRCTL, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0);
    if (result < 0)
        return result;
    /* A signal does not interrupt what is being looked at, where the kernel can do so. */
    long flags = NEW_LISTENER | WAIT_KILLABLE_RECV;
    result = call(SYS_SECCOMP, SECCOMP_SET_MODE_FILTER, flags, (long)&program, 0, 0, 0);
    if (result < 0)
        result = call(SYS_SECCOMP, SECCOMP_SET_MODE_FILTER, NEW_LISTENER, (long)&program, 0, 0, 0);
    return result;
}

static void complain(const char *what, const char *name)
{
    call(SYS_WRITE, 2, (long)"watcher: ", 9, 0, 0, 0);
    call(SYS_WRITE, 2, (long)name, (long)length(name), 0, 0, 0);
    call(SYS_WRITE, 2, (long)what, (long)length(what), 0, 0, 0);
}

/* As execvp does; gives the exit code that shells and engines have for what cannot be executed. */
static int execute(char **argv, char **environ)
{
    const char *name = argv[0], *path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    for (char **each = environ; *each; each++)
        if ((*each)[0] == 'P' && (*each)[1] == 'A' && (*each)[2] == 'T' && (*each)[3] == 'H'
            && (*each)[4] == '=')
            path = *each + 5;
    long worst = -ENOENT;
    int slash = 0;
    for (const char *each = name; *each; each++)
        slash |= *each == '/';
    if (slash) {
        worst = call(SYS_EXECVE, (long)name, (long)argv, (long)environ, 0, 0, 0);
    } else {
        size_t size = length(name);
        while (*name) {
            char full[2 * PAGE];
            size_t folder = 0;
            while (path[folder] && path[folder] != ':')
                folder++;
            if (folder + size + 2 <= sizeof full) {
                memcpy(full, path, folder);
                full[folder] = '/';
                memcpy(full + folder + (folder != 0), name, size + 1);
                long result = call(SYS_EXECVE, (long)full, (long)argv, (long)environ, 0, 0, 0);
                if (result != -ENOENT && result != -ENOTDIR)
                    worst = result;
                if (result != -ENOENT && result != -ENOTDIR && result != -EACCES)
                    break;
            }
            path += folder;
            if (!*path++)
                break;
        }
    }
    complain(worst == -ENOENT ? ": executable file not found\n" : ": cannot be executed\n", name);
    return worst == -ENOENT ? 127 : 126;
}

/* ---- Watching --------------------------------------------------------------------------- */

/* The exit code of the program once it has ended, else -1. All others that ended are let go. */
static int reap(long child)
{
    for (;;) {
        int status = 0;
        long ended = call(SYS_WAIT4, -1, (long)&status, WNOHANG, 0, 0, 0);
        if (ended <= 0)
            return -1;
        if (ended == child)
            return (status & 0x7f) ? 128 + (status & 0x7f) : (status >> 8) & 0xff;
    }
}

static void answer(int listener)
{
    static char room_for_asked[1024], room_for_answer[256];
    struct asked *asked = (void *)room_for_asked;
    struct answer *answered = (void *)room_for_answer;
    memset(asked, 0, sizeof room_for_asked);
    if (call(SYS_IOCTL, listener, IOCTL_RECV, (long)asked, 0, 0, 0) < 0)
        return; /* whoever asked is gone */
    look(asked);
    memset(answered, 0, sizeof room_for_answer);
    answered->id = asked->id;
    answered->flags = CONTINUE;
    call(SYS_IOCTL, listener, IOCTL_SEND, (long)answered, 0, 0, 0);
}

static int watch(long child, int pipe, int signals)
{
    struct wait waits[2] = {{pipe, POLLIN, 0}, {signals, POLLIN, 0}};
    int listener = -1;
    for (;;) {
        if (call(SYS_PPOLL, (long)waits, 2, 0, 0, 8, 0) < 0)
            continue;
        if (waits[0].seen) {
            if (listener >= 0) {
                if (waits[0].seen & POLLIN)
                    answer(listener);
                else
                    waits[0].fd = -1; /* nobody is left who could ask */
            } else {
                int32_t told = 0;
                call(SYS_READ, pipe, (long)&told, sizeof told, 0, 0, 0);
                if (told < 0) {
                    put("!errno ", 7);
                    put_number(-told);
                    put("", 1);
                } else {
                    /* Let the two of them change places on one processor. */
                    call(SYS_IOCTL, told, IOCTL_SET_FLAGS, 1, 0, 0, 0);
                }
                listener = told;
                waits[0].fd = told < 0 ? -1 : told;
            }
        }
        if (waits[1].seen & POLLIN) {
            uint32_t told[32] = {0}; /* struct signalfd_siginfo */
            call(SYS_READ, signals, (long)told, sizeof told, 0, 0, 0);
            int code = told[0] == SIGCHLD ? reap(child) : -1;
            if (code >= 0)
                return code;
            if (told[0] && told[0] != SIGCHLD)
                call(SYS_KILL, child, (long)told[0], 0, 0, 0, 0);
        }
    }
}

__attribute__((used, noreturn)) void begin(long *stack)
{
    long argc = stack[0];
    char **argv = (char **)(stack + 1), **environ = argv + argc + 1;
    if (argc < 3) {
        complain("", "watcher OUT PROGRAM [ARGUMENT...]\n");
        call(SYS_EXIT_GROUP, 125, 0, 0, 0, 0, 0);
    }
    out = (int)call(SYS_OPENAT, AT_FDCWD, (long)argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
                    0644, 0, 0);
    uint64_t all = ~(uint64_t)0, before = 0;
    call(SYS_SIGPROCMASK, SIG_SETMASK, (long)&all, (long)&before, 8, 0, 0);
    int signals = (int)call(SYS_SIGNALFD4, -1, (long)&all, 8, O_CLOEXEC, 0, 0);
    int pipe[2] = {-1, -1};
    call(SYS_PIPE2, (long)pipe, O_CLOEXEC, 0, 0, 0, 0);
    /* Its files are this one's until it executes the program: so this one gets its listener. */
    long child = call(SYS_CLONE, CLONE_FILES | SIGCHLD, 0, 0, 0, 0, 0);
    if (child < 0) {
        complain(": cannot be started\n", argv[2]);
        call(SYS_EXIT_GROUP, 126, 0, 0, 0, 0, 0);
    }
    if (child == 0) {
        int32_t listener = (int32_t)set_filter();
        call(SYS_WRITE, pipe[1], (long)&listener, sizeof listener, 0, 0, 0);
        call(SYS_SIGPROCMASK, SIG_SETMASK, (long)&before, 0, 8, 0, 0);
        call(SYS_EXIT_GROUP, execute(argv + 2, environ), 0, 0, 0, 0, 0);
    }
    int code = watch(child, pipe[0], signals);
    flush();
    call(SYS_EXIT_GROUP, code, 0, 0, 0, 0, 0);
    __builtin_unreachable();
}

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n mov %rsp, %rdi\n and $-16, %rsp\n call begin\n");
#else
__asm__(".globl _start\n_start:\n mov x0, sp\n bl begin\n");
#endif
